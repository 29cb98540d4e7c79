"""Score any number of classifiers, of any number of runs, in one pass of the network.

Masks do not depend on the classifier.
"""

from __future__ import annotations

from collections.abc import Sequence

from scaseg_cli.base.device import world_size
from scaseg_cli.evaluation.lineup import Candidate, Lineup
from scaseg_cli.evaluation.passes import ScoredSet, count
from scaseg_cli.evaluation.summary import Summary
from scaseg_cli.evaluation.workers import count_in_workers
from scaseg_cli.recipe.schema import Recipe


def score(scored: ScoredSet, wanted: Sequence[tuple[Recipe, Sequence[Candidate]]]) -> list[dict[str, Summary]]:
    """The figures of every candidate of every run on one image set, from one pass of the network.

    Equal candidates are scored once. The pass is divided among as many processes as the first recipe says.

    Args:
        scored: the image set.
        wanted: for each run its recipe, whose evaluation section has the thresholds, and its candidates.

    Returns:
        For each run, the summaries by the candidates' names.

    Raises:
        ScasegError: an earlier stage is missing or of another recipe, or an image cannot be read.
        ValueError: two candidates of a run bear one name.
    """
    lineup = Lineup()
    places = [lineup.add(candidates, scored.measure.rule_of(recipe.evaluation)) for recipe, candidates in wanted]
    processes = world_size(scored.recipe)
    counts = count(scored, lineup) if processes == 1 else count_in_workers(scored, lineup, processes)
    summaries = [scored.measure.summarise(found) for found in counts]
    return [{name: summaries[place] for name, place in of_run.items()} for of_run in places]
