"""The pass of the frozen network of which a `Look` is made. Inference is that of the scores.

Shapes: B images, Q queries, D visual width, N classes of which U are unseen, G labelled segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scaseg_cli.cat.generators import NoGenerator, load_generator
from scaseg_cli.data.ahead import computed_ahead
from scaseg_cli.embeddings.store import load_embeddings
from scaseg_cli.evaluation.evaluate import table_rows
from scaseg_cli.evaluation.lineup import Candidate, shares_of
from scaseg_cli.evaluation.passes import Labelled, ScoredSet
from scaseg_cli.evaluation.result_table import MAIN
from scaseg_cli.html_report.embedding_map import choose, laid_out
from scaseg_cli.html_report.finished import FinishedRun
from scaseg_cli.html_report.look import GENERATED, KEPT, Look
from scaseg_cli.html_report.votes import Parts, labelled_parts, queries_of, votes_of
from scaseg_cli.results.console import meter, say
from scaseg_cli.seeds import seeded
from scaseg_cli.tasks import task_of

_LEAST_IOU = 0.5
_READERS = 2  # threads that read images and labels, each one batch ahead


@torch.no_grad()
def take_look(finished: FinishedRun, at_most: int) -> Look:
    """Look at ``at_most`` validation images of a run; where there are more, at some that are drawn at random.

    Raises:
        ScasegError: an image cannot be read, or the weights.
    """
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
