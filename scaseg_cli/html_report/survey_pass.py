"""The pass of the frozen network that a `Survey` is made from. Inference is the same as in the evaluation.

Shapes: B images, Q queries, D visual width, N classes of which U are unseen, G labelled segments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scaseg_cli.cat.generators import NoGenerator, load_generator
from scaseg_cli.embeddings.store import load_embeddings
from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.candidates import Candidate, probabilities_of
from scaseg_cli.evaluation.rows import table_rows
from scaseg_cli.evaluation.scored_set import Labelled, ScoredSet
from scaseg_cli.html_report.embedding_map import choose, laid_out
from scaseg_cli.html_report.segment_votes import Parts, labelled_parts, queries_of, votes_of
from scaseg_cli.html_report.survey import GENERATED, KEPT, Survey, keep_survey, kept_survey
from scaseg_cli.measures.result_table import MAIN
from scaseg_cli.results.console import say
from scaseg_cli.seeds import seeded
from scaseg_cli.stages import require, what_changed
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scaseg_cli.base.segmentor import Encoded
    from scaseg_cli.comparison.finished_run import FinishedRun

_LEAST_IOU = 0.5


def survey_of(finished: FinishedRun, at_most: int) -> Survey:
    """Return the survey stored in the run folder if it fits; otherwise make a new one and store it.

    Args:
        finished: the run.
        at_most: maximum number of validation images.

    Raises:
        ScasegError: weights or images are missing or were made by another recipe, or the machine lacks a device.
    """
    kept = kept_survey(finished, at_most)
    if kept is not None:
        return kept
    if not finished.is_own:
        changed = what_changed(finished.recipe, finished.run, "evaluation")
        raise ScasegError(
            f"{finished.run.recipe_file} is not the recipe that the evaluation was made with"
            if changed is None
            else f"{finished.run.path / 'evaluation'} is out of date: {changed}"
        )
    stages = [stage for stage in finished.records if stage not in ("data", "evaluation")]
    require(finished.recipe, finished.run, *finished.doubts, *stages)
    survey = take_survey(finished, at_most)
    keep_survey(finished, survey)
    return survey


@torch.no_grad()
def take_survey(finished: FinishedRun, at_most: int) -> Survey:
    """Survey at most ``at_most`` validation images of a run, drawn at random if there are more.

    Raises:
        ScasegError: an image or the weights cannot be read.
    """
    scored = ScoredSet(finished.recipe, finished.run, "validation")
    there = scored.images.images
    order = torch.randperm(len(there), generator=seeded(finished.recipe.seed, "report-images"))
    records = [there[place] for place in sorted(order[:at_most].tolist())]
    rows = [row for row in table_rows(finished.recipe, finished.run) if row.name in MAIN]
    collected = _Collected(scored, {row.name: row.candidate for row in rows})
    for batch in scored.batches(records, f"{finished.label}: survey of validation"):
        collected.add(batch)
    real, ids = collected.sample(finished.recipe.seed)
    generated, generated_ids = _generated(finished, scored, real.shape[1])
    num_seen = scored.classes.num_seen
    chosen = choose(ids, generated_ids, num_seen)
    say(f"{finished.label}: mapping {len(chosen)} embeddings")
    points_K2 = laid_out(real[chosen.real], generated[chosen.generated])
    return Survey(len(records), len(there), collected.votes, real, ids, generated, generated_ids, points_K2, num_seen)


@dataclass
class _Collected:
    """The votes and embeddings collected so far."""

    scored: ScoredSet
    candidates: dict[str, Candidate]
    votes: dict[str, NDArray[np.int64]] = field(init=False)
    embeddings: list[Tensor] = field(default_factory=list)
    class_ids: list[NDArray[np.int64]] = field(default_factory=list)

    def __post_init__(self) -> None:
        num_classes = len(self.scored.classes)
        self.votes = {name: np.zeros((num_classes, num_classes + 1), np.int64) for name in self.candidates}

    def add(self, batch: Sequence[Labelled]) -> None:
        """Collect the votes and embeddings of a batch of images."""
        encoded = self.scored.segmentor.encode([item.image_HW3 for item in batch])
        visual_BQD = torch.stack([one.visual_QD for one in encoded])
        num_seen, regions = self.scored.classes.num_seen, self.scored.regions(batch, encoded)
        probabilities = {
            name: probabilities_of(one, visual_BQD, num_seen, regions) for name, one in self.candidates.items()
        }
        for b, (item, one) in enumerate(zip(batch, encoded, strict=True)):
            parts = self._parts(item)
            self._vote(
                item,
                parts,
                one,
                {name: probabilities_BQN1[b] for name, probabilities_BQN1 in probabilities.items()},
            )
            height, width = item.label_HW.shape
            query_G, iou_G = queries_of(parts, one.masks((height, width)))
            good = iou_G > _LEAST_IOU
            self.embeddings.append(one.visual_QD[torch.from_numpy(query_G[good])])
            self.class_ids.append(parts.class_ids[good])

    def _vote(self, item: Labelled, parts: Parts, encoded: Encoded, probabilities: dict[str, Tensor]) -> None:
        scored = self.scored
        prepared, rule = scored.prepared(item, encoded), scored.inference.rule_of(scored.recipe.evaluation)
        for name, probabilities_QN1 in probabilities.items():
            found = prepared.predict(probabilities_QN1, rule)
            np.add.at(self.votes[name], (parts.class_ids, votes_of(parts, found, len(scored.classes))), 1)

    def _parts(self, item: Labelled) -> Parts:
        return labelled_parts(
            item.label_HW,
            *self.scored.classes.arrays_of(item.record.segments),
            by_class=task_of(self.scored.recipe).labels == "semantic",
        )

    def sample(self, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Draw at most `KEPT` embeddings of each class, uniformly; their order is kept."""
        ids = np.concatenate(self.class_ids) if self.class_ids else np.zeros(0, np.int64)
        order = torch.randperm(len(ids), generator=seeded(seed, "report-sample")).numpy()
        chosen = [order[ids[order] == class_id][:KEPT] for class_id in range(len(self.scored.classes))]
        places = np.sort(np.concatenate(chosen)) if len(ids) else np.zeros(0, np.int64)
        return torch.cat(self.embeddings)[torch.from_numpy(places)].float().numpy(), ids[places]


def _generated(
    finished: FinishedRun, scored: ScoredSet, visual_dim: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Generated embeddings of the unseen classes; empty if the run has no generator."""
    classes = scored.classes
    generator = load_generator(finished.recipe, finished.run) if "cat" in finished.records else NoGenerator()
    if isinstance(generator, NoGenerator):
        return np.zeros((0, visual_dim), np.float32), np.zeros(0, np.int64)
    vectors_UC = load_embeddings(finished.recipe, finished.run).vectors_NC[classes.num_seen :]
    random = seeded(finished.recipe.seed, "report-generated")
    samples = generator.sample(vectors_UC.repeat_interleave(GENERATED, 0), random)
    return samples.float().numpy(), np.arange(classes.num_seen, len(classes)).repeat(GENERATED)
