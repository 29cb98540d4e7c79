"""A survey of the validation images: the facts about a run that the evaluation's counts do not hold.

It says which class each labelled segment is taken for, and has the query embeddings of those segments and the generated
embeddings of the unseen classes. `survey_pass.py` makes it; the run folder keeps it under the evaluation's key. Shapes:
N classes, R real and P generated embeddings, D visual width, K embeddings on the map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from scaseg_cli.checkpoints import load_tensors, save_tensors
from scaseg_cli.errors import ScasegError
from scaseg_cli.html_report.embedding_map import Chosen, choose
from scaseg_cli.measures.result_table import MAIN
from scaseg_cli.results.console import say_plainly

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from scaseg_cli.html_report.finished_run import FinishedRun

KIND = "look at the validation images"
KEPT = 60  # real embeddings of a class
GENERATED = 256  # embeddings of an unseen class, as many as the fine-tuning takes a mean of
_VERSION = 1  # of what is kept: another one is made anew


@dataclass(frozen=True, eq=False)
class Survey:
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


def keep_survey(finished: FinishedRun, survey: Survey) -> None:
    """Write the look into the run folder; where that cannot be, it is taken again the next time."""
    arrays: dict[str, NDArray[Any]] = {f"votes-{name}": votes for name, votes in survey.votes.items()}
    arrays |= {"real": survey.real_RD, "real-ids": survey.real_ids_R}
    arrays |= {"generated": survey.generated_PD, "generated-ids": survey.generated_ids_P, "map": survey.map_K2}
    meta = {"key": finished.evaluation_key, "version": _VERSION, "images": survey.num_images, "there": survey.num_there}
    meta["seen"] = survey.num_seen
    try:
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        save_tensors(finished.run.survey_file, KIND, tensors, meta)
    except ScasegError as error:
        say_plainly(f"not kept for the next report: {error.message}")


def kept_survey(finished: FinishedRun, at_most: int) -> Survey | None:
    """What an earlier report kept, where it is of this evaluation and of as many images."""
    if not finished.run.survey_file.is_file():
        return None
    try:
        tensors, meta = load_tensors(finished.run.survey_file, KIND, "")
    except ScasegError:
        return None
    if (meta.get("key"), meta.get("version")) != (finished.evaluation_key, _VERSION):
        return None
    if meta["images"] != min(at_most, meta["there"]):
        return None
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    votes = {name: arrays[f"votes-{name}"] for name in MAIN if f"votes-{name}" in arrays}
    return Survey(
        meta["images"], meta["there"], votes, arrays["real"], arrays["real-ids"], arrays["generated"],
        arrays["generated-ids"], arrays["map"], meta["seen"],
    )  # fmt: skip
