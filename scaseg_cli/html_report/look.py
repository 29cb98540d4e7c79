"""One more look of the frozen network at the validation images, for what the evaluation's counts do not tell.

What each labelled segment is taken for, and the query embedding of each; with them, the generator's embeddings of the
unseen classes. It is kept in the run folder under the evaluation's key, so that it is taken once. Shapes: N classes,
R real and P generated embeddings, D visual width, G labelled segments, Q queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scaseg_cli.cat.generators import NoGenerator, load_generator
from scaseg_cli.checkpoints import load_tensors, save_tensors
from scaseg_cli.data.ahead import computed_ahead
from scaseg_cli.embeddings.store import load_embeddings
from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.evaluate import table_rows
from scaseg_cli.evaluation.lineup import Candidate, shares_of
from scaseg_cli.evaluation.passes import Labelled, ScoredSet
from scaseg_cli.evaluation.result_table import MAIN
from scaseg_cli.html_report.embedding_map import Chosen, choose, laid_out
from scaseg_cli.html_report.finished import FinishedRun
from scaseg_cli.html_report.votes import Parts, labelled_parts, queries_of, votes_of
from scaseg_cli.results.console import meter, say, say_plainly
from scaseg_cli.seeds import seeded
from scaseg_cli.stages import require
from scaseg_cli.tasks import task_of

KIND = "look at the validation images"
KEPT = 60  # real embeddings of a class
GENERATED = 256  # embeddings of an unseen class, as many as the fine-tuning takes a mean of
_LEAST_IOU = 0.5
_READERS = 2
_VERSION = 1  # of what is kept: another one is made anew


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen.

    Attributes:
        num_images: that were looked at.
        num_there: validation images of the run.
        votes: by main row of the result table [N, N + 1], labelled segments by their class and the class that most
            of their pixels are given; the last column: none.
        real_RD: query embeddings of labelled segments, at most `KEPT` a class.
        real_ids_R: their class ids.
        generated_PD: generated embeddings of the unseen classes, `GENERATED` each; none without a generator.
        generated_ids_P: their class ids.
        map_K2: places on a map of those embeddings that `chosen` names; none where they are too few.
    """

    num_images: int
    num_there: int
    votes: dict[str, NDArray[np.int64]]
    real_RD: NDArray[np.float32]
    real_ids_R: NDArray[np.int64]
    generated_PD: NDArray[np.float32]
    generated_ids_P: NDArray[np.int64]
    map_K2: NDArray[np.float32]
    num_seen: int

    @property
    def chosen(self) -> Chosen:
        """Which embeddings are on the map."""
        return choose(self.real_ids_R, self.generated_ids_P, self.num_seen)


def look_at(finished: FinishedRun, at_most: int) -> Look:
    """The look that is kept in the run folder, where it fits; else a new one, which is then kept.

    Raises:
        ScasegError: weights or images that it needs are gone or of another recipe, or the machine lacks a device.
    """
    kept = _kept(finished, at_most)
    if kept is not None:
        return kept
    if not finished.is_own:
        raise ScasegError(f"{finished.run.recipe_file} is not the recipe that the evaluation was made with")
    stages = [stage for stage in finished.records if stage not in ("data", "evaluation")]
    require(finished.recipe, finished.run, *finished.doubts, *stages)
    look = _taken(finished, at_most)
    _keep(finished, look)
    return look


@torch.no_grad()
def _taken(finished: FinishedRun, at_most: int) -> Look:
    scored = ScoredSet(finished.recipe, finished.run, "validation")
    there = scored.images.images
    order = torch.randperm(len(there), generator=seeded(finished.recipe.seed, "report-images"))
    records = [there[place] for place in sorted(order[:at_most].tolist())]
    rows = [row for row in table_rows(finished.recipe, finished.run) if row.name in MAIN]
    seen = _Seen(scored, {row.name: row.candidate for row in rows})
    size = finished.recipe.evaluation.batch_size
    batches = [records[first : first + size] for first in range(0, len(records), size)]
    with meter(f"{finished.label}: looking at validation", len(records), unit="images") as shown:
        for batch in computed_ahead(scored.read, batches, _READERS, ahead=1):
            seen.add(batch)
            shown.advance(len(batch))
    real, ids = seen.sample(finished.recipe.seed)
    generated, generated_ids = _generated(finished, scored, real.shape[1])
    num_seen = scored.classes.num_seen
    chosen = choose(ids, generated_ids, num_seen)
    say(f"{finished.label}: a map of {len(chosen)} embeddings")
    points_K2 = laid_out(real[chosen.real], generated[chosen.generated])
    return Look(len(records), len(there), seen.votes, real, ids, generated, generated_ids, points_K2, num_seen)


@dataclass
class _Seen:
    """What has been seen so far."""

    scored: ScoredSet
    candidates: dict[str, Candidate]
    votes: dict[str, NDArray[np.int64]] = field(init=False)
    embeddings: list[Tensor] = field(default_factory=list)
    class_ids: list[NDArray[np.int64]] = field(default_factory=list)

    def __post_init__(self) -> None:
        num_classes = len(self.scored.classes)
        self.votes = {name: np.zeros((num_classes, num_classes + 1), np.int64) for name in self.candidates}

    def add(self, batch: Sequence[Labelled]) -> None:
        """Look at a batch of images."""
        segmented = self.scored.segmentor.segment([item.image_HW3 for item in batch])
        visual_BQD = torch.stack([visual for visual, _ in segmented])
        num_seen = self.scored.classes.num_seen
        shares = {name: shares_of(one, visual_BQD, num_seen) for name, one in self.candidates.items()}
        for b, (item, (visual_QD, masks_QHW)) in enumerate(zip(batch, segmented, strict=True)):
            parts = self._parts(item)
            self._vote(item, parts, masks_QHW, {name: shares_BQN1[b] for name, shares_BQN1 in shares.items()})
            query_G, iou_G = queries_of(parts, masks_QHW)
            good = iou_G > _LEAST_IOU
            self.embeddings.append(visual_QD[torch.from_numpy(query_G[good])])
            self.class_ids.append(parts.class_ids[good])

    def _vote(self, item: Labelled, parts: Parts, masks_QHW: Tensor, shares: dict[str, Tensor]) -> None:
        scored = self.scored
        prepared, rule = scored.prepared(item, masks_QHW), scored.measure.rule_of(scored.recipe.evaluation)
        for name, shares_QN1 in shares.items():
            found = prepared.predict(shares_QN1, rule)
            np.add.at(self.votes[name], (parts.class_ids, votes_of(parts, found, len(scored.classes))), 1)

    def _parts(self, item: Labelled) -> Parts:
        segments = item.record.segments
        return labelled_parts(
            item.label_HW,
            np.array([segment.id for segment in segments], np.int64),
            np.array([self.scored.classes.class_ids[segment.category_id] for segment in segments], np.int64),
            np.array([segment.iscrowd for segment in segments], bool),
            by_class=task_of(self.scored.recipe).labels == "semantic",
        )

    def sample(self, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """At most `KEPT` embeddings of each class, drawn evenly, in the order in which they were seen."""
        ids = np.concatenate(self.class_ids) if self.class_ids else np.zeros(0, np.int64)
        order = torch.randperm(len(ids), generator=seeded(seed, "report-sample")).numpy()
        chosen = [order[ids[order] == class_id][:KEPT] for class_id in range(len(self.scored.classes))]
        places = np.sort(np.concatenate(chosen)) if len(ids) else np.zeros(0, np.int64)
        return torch.cat(self.embeddings)[torch.from_numpy(places)].float().numpy(), ids[places]


def _generated(
    finished: FinishedRun, scored: ScoredSet, visual_dim: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Generated embeddings of the unseen classes; none where the run has no generator."""
    classes = scored.classes
    generator = load_generator(finished.recipe, finished.run) if "cat" in finished.records else NoGenerator()
    if isinstance(generator, NoGenerator):
        return np.zeros((0, visual_dim), np.float32), np.zeros(0, np.int64)
    vectors_UC = load_embeddings(finished.recipe, finished.run).vectors_NC[classes.num_seen :]
    random = seeded(finished.recipe.seed, "report-generated")
    samples = generator.sample(vectors_UC.repeat_interleave(GENERATED, 0), random)
    return samples.float().numpy(), np.arange(classes.num_seen, len(classes)).repeat(GENERATED)


def _keep(finished: FinishedRun, look: Look) -> None:
    """Write the look into the run folder; where that cannot be, it is taken again the next time."""
    arrays: dict[str, NDArray[Any]] = {f"votes-{name}": votes for name, votes in look.votes.items()}
    arrays |= {"real": look.real_RD, "real-ids": look.real_ids_R}
    arrays |= {"generated": look.generated_PD, "generated-ids": look.generated_ids_P, "map": look.map_K2}
    meta = {"key": finished.evaluation_key, "version": _VERSION, "images": look.num_images, "there": look.num_there}
    meta["seen"] = look.num_seen
    try:
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        save_tensors(finished.run.look_file, KIND, tensors, meta)
    except ScasegError as error:
        say_plainly(f"not kept for the next report: {error.message}")


def _kept(finished: FinishedRun, at_most: int) -> Look | None:
    """What an earlier report kept, where it is of this evaluation and of as many images."""
    if not finished.run.look_file.is_file():
        return None
    try:
        tensors, meta = load_tensors(finished.run.look_file, KIND, "")
    except ScasegError:
        return None
    if (meta.get("key"), meta.get("version")) != (finished.evaluation_key, _VERSION):
        return None
    if meta["images"] != min(at_most, meta["there"]):
        return None
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    votes = {name: arrays[f"votes-{name}"] for name in MAIN if f"votes-{name}" in arrays}
    return Look(
        meta["images"], meta["there"], votes, arrays["real"], arrays["real-ids"], arrays["generated"],
        arrays["generated-ids"], arrays["map"], meta["seen"],
    )  # fmt: skip
