"""Score any number of classifiers, of any number of runs, in one pass of the network.

Masks do not depend on the classifier, so one pass serves all. Several processes, on one or several nodes, divide the
batches among them. A file in the stage's folder passes the candidates to them, and a file of each returns its counts;
all are removed after the pass. Counts are integers, so neither the order of images nor the number of processes changes
a figure.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from scaseg_cli.base.device import num_processes, part_of_world, world_size
from scaseg_cli.base.network import host_module
from scaseg_cli.checkpoints import load_state, save_state
from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.candidates import Candidate, CandidateSet
from scaseg_cli.evaluation.scored_set import Labelled, ScoredSet
from scaseg_cli.launch import launch_workers
from scaseg_cli.measures.bootstrap import ImageCounts, pairs_of
from scaseg_cli.results.console import say
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scaseg_cli.data.records import ImageRecord
    from scaseg_cli.measures.measure import Counts
    from scaseg_cli.measures.summary import Summary
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir
    from scaseg_cli.split.lists import Part

STAGE_OF: dict[Part, str] = {"selection": "union", "validation": "evaluation"}
_KEY = "scoring"


class Scores(NamedTuple):
    """The figures of a run's candidates.

    Attributes:
        summaries: by candidate name.
        counts: by candidate name, the counts by image; empty for selection images.
    """

    summaries: dict[str, Summary]
    counts: dict[str, ImageCounts]


def score(scored: ScoredSet, wanted: Sequence[tuple[Recipe, Sequence[Candidate]]]) -> list[Scores]:
    """Compute the figures of every candidate of every run on one image set, in one pass of the network.

    Equal candidates are scored once. The recipe of ``scored`` sets the number of processes. Labels that differ from
    their annotations are counted and said after the pass.

    Args:
        scored: the image set.
        wanted: for each run, its recipe (the evaluation section gives the thresholds) and its candidates.

    Returns:
        For each run, the scores of its candidates.

    Raises:
        ScasegError: an earlier stage is missing or was made by another recipe, or an image cannot be read.
        ValueError: two candidates of a run have the same name.
    """
    candidate_set = CandidateSet()
    places = [
        candidate_set.add(candidates, scored.inference.rule_of(recipe.evaluation)) for recipe, candidates in wanted
    ]
    scored.tally.counts[:] = 0
    alone = num_processes(scored.recipe) == 1
    found = count(scored, candidate_set) if alone else count_in_workers(scored, candidate_set)
    for note in scored.tally.notes(scored.part):
        say(note)
    summaries = [scored.measure.summarise(counts) for counts in found.total]
    num_images = len(scored.images.images)
    by_image = [ImageCounts(num_images, np.concatenate(pairs)) for pairs in found.by_image]
    return [
        Scores(
            {name: summaries[place] for name, place in of_run.items()},
            {name: by_image[place] for name, place in of_run.items()} if by_image else {},
        )
        for of_run in places
    ]


@dataclass(frozen=True, eq=False)
class Found:
    """The counts of a process.

    Attributes:
        total: for each candidate, its counts over all images.
        by_image: for each candidate, its rows of `ImageCounts`, image after image. Only reported images have them.
    """

    total: list[Counts]
    by_image: list[list[NDArray[np.int64]]]

    @classmethod
    def empty(cls, scored: ScoredSet, candidate_set: CandidateSet) -> Found:
        """Without any image."""
        entries = candidate_set.entries
        by_image: list[list[NDArray[np.int64]]] = [[] for _ in entries] if scored.part == "validation" else []
        return cls([scored.measure.new_counts() for _ in entries], by_image)


@torch.no_grad()
def count(
    scored: ScoredSet,
    candidate_set: CandidateSet,
    rank: int = 0,
    size: int = 1,
    records: Sequence[ImageRecord] | None = None,
) -> Found:
    """Count every entry of ``candidate_set`` on the batches of this process; batch b goes to process b % size.

    Args:
        scored: the image set.
        candidate_set: the entries.
        rank: rank of this process.
        size: the number of processes.
        records: the images; None: all of the set.
    """
    found = Found.empty(scored, candidate_set)
    classifiers = "1 classifier" if len(found.total) == 1 else f"{len(found.total)} classifiers"
    title = f"scoring {classifiers} on {scored.part}"
    images = scored.images.images if records is None else records
    for number, batch in enumerate(scored.batches(images, title, rank, size)):
        _count_batch(scored, candidate_set, batch, found, (rank + number * size) * scored.recipe.evaluation.batch_size)
        for item in batch:
            scored.tally.add(item.label.num_empty, item.label.has_unnamed)
    return found


def _count_batch(
    scored: ScoredSet, candidate_set: CandidateSet, batch: Sequence[Labelled], found: Found, first: int
) -> None:
    """Count a batch, ``first`` being the index of its first image; its masks are freed on return."""
    visual_BQD, prepared, regions = scored.segment(batch)
    probabilities = candidate_set.probabilities(visual_BQD, scored.classes.num_seen, regions)
    for b, image in enumerate(prepared):
        of_image = [of_entry[b] for of_entry in probabilities]
        if not found.by_image:
            image.add(found.total, of_image, candidate_set.rules)
            continue
        counts = [scored.measure.new_counts() for _ in found.total]
        image.add(counts, of_image, candidate_set.rules)
        for total, pairs, own in zip(found.total, found.by_image, counts, strict=True):
            total.array += own.array
            pairs.append(pairs_of(first + b, scored.measure.by_class(own)))


def count_in_workers(scored: ScoredSet, candidate_set: CandidateSet) -> Found:
    """Run `count` over all images in the recipe's processes; the counts equal those of one process exactly.

    Raises:
        ScasegError: a worker raised it, or a worker failed for another reason.
    """
    recipe, run, stage = scored.recipe, scored.run, STAGE_OF[scored.part]
    found = Found.empty(scored, candidate_set)
    _remove_files(run, stage)
    try:
        this_pass = uuid.uuid4().hex
        save_state(_job(run, stage), {"key": _KEY, "pass": this_pass, **candidate_set.as_state()})
        modules = [host_module(task_of(recipe))]
        launch_workers(recipe, run, world_size(recipe), f"{__name__}:count_{scored.part}", stage, modules)
        for rank in range(num_processes(recipe)):
            state = _read(_result(run, stage, rank), this_pass)
            for total, array in zip(found.total, state["arrays"].numpy(), strict=True):
                total.array += array
            for own, pairs in zip(found.by_image, state["by_image"], strict=False):  # none from one without an image
                own.append(pairs.numpy())
            scored.tally.counts[:] += state["labels"].numpy()
    finally:
        _remove_files(run, stage)
    return found


def count_selection(recipe: Recipe, run: RunDir) -> None:
    """Count the selection images of one worker process."""
    _work(recipe, run, "selection")


def count_validation(recipe: Recipe, run: RunDir) -> None:
    """Count the validation images of one worker process."""
    _work(recipe, run, "validation")


def _work(recipe: Recipe, run: RunDir, part: Part) -> None:
    world, stage = part_of_world(recipe), STAGE_OF[part]
    job = _read(_job(run, stage), _KEY)
    candidate_set = CandidateSet.from_state(job)
    scored = ScoredSet(recipe, run, part)
    found = count(scored, candidate_set, world.rank, world.size)
    result = {
        "key": job["pass"],
        "arrays": torch.from_numpy(np.stack([total.array for total in found.total])),
        "labels": torch.from_numpy(scored.tally.counts),
        "by_image": [torch.from_numpy(np.concatenate(pairs)) for pairs in found.by_image if pairs],
    }
    save_state(_result(run, stage, world.rank), result)


def _job(run: RunDir, stage: str) -> Path:
    return run.path / stage / "scoring-candidates.pt"


def _result(run: RunDir, stage: str, rank: int) -> Path:
    return run.path / stage / f"scoring-counts-{rank:05d}.pt"


def _remove_files(run: RunDir, stage: str) -> None:
    for path in run.folder(stage).glob("scoring-*.pt"):
        path.unlink()


def _read(path: Path, key: str) -> dict[str, Any]:
    state = load_state(path, key)
    if state is None:
        raise ScasegError(
            f"{path} was written for this pass but is not here",
            "Run the command again. Several nodes need a run folder on a file system that all of them share.",
        )
    return state
