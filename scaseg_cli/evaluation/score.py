"""Score any number of classifiers, of any number of runs, in one pass of the network.

Masks do not depend on the classifier, so one pass serves all. Several processes divide the batches among them. A file
in the stage's folder passes the candidates to them, and another returns their summed counts; both are removed after the
pass. Counts are integers, so neither the order of images nor the number of processes changes a figure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from scaseg_cli.base.device import join_world, world_size
from scaseg_cli.base.network import host_module
from scaseg_cli.checkpoints import load_state, save_state
from scaseg_cli.evaluation.candidates import Candidate, CandidateSet
from scaseg_cli.evaluation.scored_set import Labelled, ScoredSet
from scaseg_cli.launch import launch_workers
from scaseg_cli.results.console import say
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaseg_cli.measures.measure import Counts
    from scaseg_cli.measures.summary import Summary
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir
    from scaseg_cli.split.lists import Part

STAGE_OF: dict[Part, str] = {"selection": "union", "validation": "evaluation"}
_KEY = "scoring"


def score(scored: ScoredSet, wanted: Sequence[tuple[Recipe, Sequence[Candidate]]]) -> list[dict[str, Summary]]:
    """Compute the figures of every candidate of every run on one image set, in one pass of the network.

    Equal candidates are scored once. The recipe of ``scored`` sets the number of processes. Labels that differ from
    their annotations are counted and said after the pass.

    Args:
        scored: the image set.
        wanted: for each run, its recipe (the evaluation section gives the thresholds) and its candidates.

    Returns:
        For each run, the summaries by candidate name.

    Raises:
        ScasegError: an earlier stage is missing or was made by another recipe, or an image cannot be read.
        ValueError: two candidates of a run have the same name.
    """
    candidate_set = CandidateSet()
    places = [
        candidate_set.add(candidates, scored.inference.rule_of(recipe.evaluation)) for recipe, candidates in wanted
    ]
    processes = world_size(scored.recipe)
    scored.tally.counts[:] = 0
    counts = count(scored, candidate_set) if processes == 1 else count_in_workers(scored, candidate_set, processes)
    for note in scored.tally.notes(scored.part):
        say(note)
    summaries = [scored.measure.summarise(found) for found in counts]
    return [{name: summaries[place] for name, place in of_run.items()} for of_run in places]


@torch.no_grad()
def count(scored: ScoredSet, candidate_set: CandidateSet, rank: int = 0, size: int = 1) -> list[Counts]:
    """Count every entry of ``candidate_set`` on the batches of this process; batch b goes to process b % size."""
    counts: list[Counts] = [scored.measure.new_counts() for _ in candidate_set.entries]
    title = f"scoring {len(counts)} on {scored.part}"
    for batch in scored.batches(scored.images.images, title, rank, size):
        _count_batch(scored, candidate_set, batch, counts)
        for item in batch:
            scored.tally.add(item.label.num_empty, item.label.has_unnamed)
    return counts


def _count_batch(
    scored: ScoredSet, candidate_set: CandidateSet, batch: Sequence[Labelled], counts: list[Counts]
) -> None:
    """Count a batch; its masks are freed on return."""
    visual_BQD, prepared = scored.segment(batch)
    probabilities = candidate_set.probabilities(visual_BQD, scored.classes.num_seen)
    for b, image in enumerate(prepared):
        image.add(counts, [of_entry[b] for of_entry in probabilities], candidate_set.rules)


def count_in_workers(scored: ScoredSet, candidate_set: CandidateSet, processes: int) -> list[Counts]:
    """Run `count` over all images in ``processes`` processes; the counts equal those of one process exactly.

    Raises:
        ScasegError: a worker raised it, or a worker failed for another reason.
    """
    stage = STAGE_OF[scored.part]
    job, result = _files(scored.run, scored.part)
    scored.run.folder(stage)
    result.unlink(missing_ok=True)
    try:
        save_state(job, {"key": _KEY, **candidate_set.as_state()})
        modules = [host_module(task_of(scored.recipe))]
        launch_workers(scored.recipe, scored.run, processes, f"{__name__}:count_{scored.part}", stage, modules)
        state = _read(result)
    finally:
        job.unlink(missing_ok=True)
        result.unlink(missing_ok=True)
    counts: list[Counts] = [scored.measure.new_counts() for _ in candidate_set.entries]
    for found, array in zip(counts, state["arrays"].numpy(), strict=True):
        found.array += array
    scored.tally.counts[:] += state["labels"].numpy()
    return counts


def count_selection(recipe: Recipe, run: RunDir) -> None:
    """Count the selection images of one worker process."""
    _work(recipe, run, "selection")


def count_validation(recipe: Recipe, run: RunDir) -> None:
    """Count the validation images of one worker process."""
    _work(recipe, run, "validation")


def _work(recipe: Recipe, run: RunDir, part: Part) -> None:
    world = join_world(recipe)
    job, result = _files(run, part)
    candidate_set = CandidateSet.from_state(_read(job))
    scored = ScoredSet(recipe, run, part)
    counts = count(scored, candidate_set, world.rank, world.size)
    arrays = torch.from_numpy(np.stack([found.array for found in counts])).to(world.device)
    labels = torch.from_numpy(scored.tally.counts).to(world.device)
    for summed in (arrays, labels):
        torch.distributed.all_reduce(summed)
    if world.rank == 0:
        save_state(result, {"key": _KEY, "arrays": arrays.cpu(), "labels": labels.cpu()})


def _files(run: RunDir, part: Part) -> tuple[Path, Path]:
    folder = run.path / STAGE_OF[part]
    return folder / "scoring-candidates.pt", folder / "scoring-counts.pt"


def _read(path: Path) -> dict[str, Any]:
    state = load_state(path, _KEY)
    if state is None:
        raise RuntimeError(f"{path} is missing: a process ended before it wrote the file")
    return state
