"""A survey of the validation images: facts about a run that the evaluation's counts do not contain.

It has the predicted class of each labelled segment, the query embeddings of those segments, and generated embeddings of
the unseen classes. `survey_pass.py` makes it, and the run folder stores it under the evaluation's key. Shapes: N
classes, R real and P generated embeddings, D visual width, K embeddings on the map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from scaseg_cli.checkpoints import load_tensors, save_tensors
from scaseg_cli.errors import ScasegError
from scaseg_cli.html_report.embedding_map import Chosen, choose
from scaseg_cli.measures.result_table import MAIN
from scaseg_cli.results.console import say_plainly

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scaseg_cli.comparison.finished_run import FinishedRun

KIND = "look at the validation images"
KEPT = 60  # real embeddings per class
GENERATED = 256  # generated embeddings per unseen class; the fine-tuning takes its means from as many
_NAMES = {"real", "real-ids", "generated", "generated-ids", "map"}
_VERSION = 1  # of the stored survey; one of another version is not used


@dataclass(frozen=True, eq=False)
class Survey:
    """The results of a survey.

    Attributes:
        num_images: number of images in the survey.
        num_there: number of validation images of the run.
        votes: number of labelled segments [N, N + 1] by labelled class and predicted class (the last column is none),
            for each main row of the result table.
        real_RD: query embeddings of labelled segments, at most `KEPT` per class.
        real_ids_R: their class ids.
        generated_PD: generated embeddings, `GENERATED` per unseen class; empty without a generator.
        generated_ids_P: their class ids.
        map_K2: coordinates on the map of the `chosen` embeddings; empty if they are too few.
        num_seen: number of seen classes.
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
        """The embeddings that are on the map."""
        return choose(self.real_ids_R, self.generated_ids_P, self.num_seen)


def keep_survey(finished: FinishedRun, survey: Survey) -> None:
    """Write the survey into the run folder; if that fails, the next report makes it again."""
    arrays: dict[str, NDArray[Any]] = {f"votes-{name}": votes for name, votes in survey.votes.items()}
    arrays |= {"real": survey.real_RD, "real-ids": survey.real_ids_R}
    arrays |= {"generated": survey.generated_PD, "generated-ids": survey.generated_ids_P, "map": survey.map_K2}
    meta = {"key": finished.evaluation_key, "version": _VERSION, "images": survey.num_images, "there": survey.num_there}
    meta["seen"] = survey.num_seen
    try:
        finished.run.check_links("report")
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        save_tensors(finished.run.survey_file, KIND, tensors, meta)
    except ScasegError as error:
        say_plainly(f"the survey is not kept for the next report: {error.message}")


def kept_survey(finished: FinishedRun, at_most: int) -> Survey | None:
    """Read the survey of an earlier report, or return None unless it fits this evaluation and number of images."""
    if not finished.run.survey_file.is_file():
        return None
    try:
        tensors, meta = load_tensors(finished.run.survey_file, KIND, "")
    except ScasegError:
        return None
    if (meta.get("key"), meta.get("version")) != (finished.evaluation_key, _VERSION):
        return None
    images, there, seen = (meta.get(name) for name in ("images", "there", "seen"))
    if not (type(images) is int and type(there) is int and type(seen) is int) or not tensors.keys() >= _NAMES:
        return None
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    votes = {name: arrays[f"votes-{name}"] for name in MAIN if f"votes-{name}" in arrays}
    survey = Survey(
        images, there, votes, arrays["real"], arrays["real-ids"], arrays["generated"], arrays["generated-ids"],
        arrays["map"], seen,
    )  # fmt: skip
    return survey if images == min(at_most, there) and _fits(survey, len(finished.per_class.rows)) else None


def _fits(survey: Survey, num_classes: int) -> bool:
    """Whether the arrays of a stored survey have the shapes and types that `Survey` states."""
    pairs = ((survey.real_RD, survey.real_ids_R), (survey.generated_PD, survey.generated_ids_P))
    return (
        0 <= survey.num_seen <= num_classes
        and all(
            votes.shape == (num_classes, num_classes + 1) and votes.dtype == np.int64 and bool((votes >= 0).all())
            for votes in survey.votes.values()
        )
        and all(
            vectors.ndim == 2
            and vectors.dtype == np.float32
            and vectors.shape[1] == survey.real_RD.shape[1]
            and ids.shape == vectors.shape[:1]
            and ids.dtype == np.int64
            and bool(((ids >= 0) & (ids < num_classes)).all())
            for vectors, ids in pairs
        )
        and survey.map_K2.shape in ((0, 2), (len(survey.chosen), 2))
    )
