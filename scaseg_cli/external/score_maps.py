"""Counts pixels by labelled and predicted class for semantic predictions in files.

Only labelled pixels count. A pixel that is labelled but predicted as no class is missed, as in MMSegmentation. Shapes:
N classes, H W image, X = H * W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from scaseg_cli.data.label_maps import is_raw
from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.data.prefetch import num_cores
from scaseg_cli.data.processes import spread
from scaseg_cli.data.records import ALWAYS_IGNORED, MAX_MAP_VALUE
from scaseg_cli.data.segment_png import OPAQUE, CodeReader, one_thread_a_call, silent_decoder
from scaseg_cli.errors import ScasegError
from scaseg_cli.external.predicted_maps import PredictedMaps, read_values
from scaseg_cli.measures.mean_iou import Confusion
from scaseg_cli.measures.panoptic_quality import dense_index
from scaseg_cli.measures.shared_pixels import Scratch, run_starts
from scaseg_cli.results.console import track

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scaseg_cli.data.records import ImageRecord, LabelledSet

_SHOWN = 50  # images with mistakes to name; further ones are counted
_CHUNK = 50  # images per task
_A_PROCESS = 2000  # images that justify starting one more process
_VALUES = 5  # unknown values to name
_NONE, _UNKNOWN = -1, -2  # in a table of classes: no class, and a value that may not occur
_HINT = "Provide one label map per image, NAME.png for NAME.jpg, of the image size, with one category id per pixel."
_LABEL_HINT = (
    "Check the label maps, and --categories, --ignored and --colours, or data.categories, data.ignored and "
    "data.colours in the recipe."
)


@dataclass(frozen=True)
class MapTask:
    """What the counting of any image needs.

    Attributes:
        labelled: the labels, as label maps or panoptic PNGs.
        predicted: the predictions.
        class_ids: category_id to class_id; category ids of predictions are the pixel values.
    """

    labelled: LabelledSet
    predicted: PredictedMaps
    class_ids: dict[int, int]


class _Part(NamedTuple):
    """The counts of some images, [N, N + 1] with a last column for no class, and the mistakes by image."""

    counts: NDArray[np.int64]
    problems: list[tuple[str, str | None, str | None]]


def score_maps(task: MapTask, processes: int | None = None) -> Confusion:
    """Count all labelled pixels.

    Args:
        task: labels, predictions and classes.
        processes: number of processes; None chooses by cores and images. The result does not depend on it.

    Raises:
        ScasegError: predictions are missing, maps are damaged, differ in size from their label, or have values that
            are no category id. Checks all images and names each one with a mistake.
    """
    images = task.labelled.images
    if processes is None:
        processes = max(1, min(num_cores(), len(images) // _A_PROCESS))
    chunks = [images[first : first + _CHUNK] for first in range(0, len(images), _CHUNK)]
    mistakes = Mistakes(task.predicted.where, at_most=_SHOWN)
    label_mistakes = Mistakes(f"the folder of labels {task.labelled.labels_dir}", at_most=_SHOWN)
    confusion = Confusion(len(task.class_ids))
    with spread(processes, "compared predictions") as mapped:
        parts = mapped(partial(_count_chunk, task), chunks)
        for part in track(parts, "scoring predictions", len(chunks)):
            confusion.array += part.counts[:, :-1]
            confusion.unpredicted += part.counts[:, -1]
            for name, wrong_label, wrong_prediction in part.problems:
                if wrong_label is not None:
                    label_mistakes.add(f"{name}: {wrong_label}")
                if wrong_prediction is not None:
                    mistakes.add(f"{name}: {wrong_prediction}")
    if mistakes.count and label_mistakes.count:
        raise ScasegError(f"{label_mistakes}\n{mistakes}", f"{_LABEL_HINT}\n{_HINT}")
    label_mistakes.stop_if_any(_LABEL_HINT)
    mistakes.stop_if_any(_HINT)
    return confusion


def _count_chunk(task: MapTask, records: Sequence[ImageRecord]) -> _Part:
    counter = _Counter(task)
    with one_thread_a_call(), silent_decoder():
        for record in records:
            counter.add(record)
    return _Part(counter.counts, counter.problems)


class _Counter:
    """Counts images one after another, with arrays that are reused."""

    def __init__(self, task: MapTask) -> None:
        self._task, self._num_classes = task, len(task.class_ids)
        self._codes, self._scratch = CodeReader(), Scratch()
        self.counts = np.zeros((self._num_classes, self._num_classes + 1), np.int64)
        self.problems: list[tuple[str, str | None, str | None]] = []
        self._predicted_class = np.full(MAX_MAP_VALUE + 1, _UNKNOWN, np.int64)
        self._predicted_class[list(ALWAYS_IGNORED)] = _NONE
        if task.labelled.map_values and not is_raw(task.labelled):  # else predictions have another numbering
            self._predicted_class[list(task.labelled.ignored)] = _NONE
        self._predicted_class[list(task.class_ids)] = list(task.class_ids.values())
        if task.labelled.map_values is not None:
            ids = task.labelled.segment_ids  # category_id + 1; 0: no class; -1: unknown
            of_segment = np.full(MAX_MAP_VALUE + 2, _UNKNOWN, np.int64)
            of_segment[0] = _NONE
            of_segment[[category_id + 1 for category_id in task.class_ids]] = list(task.class_ids.values())
            self._labelled_class = of_segment[ids]

    def add(self, record: ImageRecord) -> None:
        """Count one image, or note what is wrong with it."""
        key = self._task.predicted.find(record)
        wrong_label = wrong_prediction = None
        labels_HW = predicted_HW = None
        try:
            labels_HW = self._read_label(record)
        except ScasegError as error:
            wrong_label = error.message
        if key is None:
            wrong_prediction = "it has no prediction"
        elif labels_HW is not None:
            try:
                predicted_HW = self._task.predicted.read(key, (labels_HW.shape[1], labels_HW.shape[0]))
            except ScasegError as error:
                wrong_prediction = error.message
        if labels_HW is not None and predicted_HW is not None:
            wrong_label, wrong_prediction = self._count(record, labels_HW, predicted_HW)
        if wrong_label is not None or wrong_prediction is not None:
            self.problems.append((f"image {record.image_id} ({record.file_name})", wrong_label, wrong_prediction))

    def _read_label(self, record: ImageRecord) -> NDArray[np.integer]:
        labelled = self._task.labelled
        path = labelled.label_path(record)
        if labelled.map_values is None:
            return self._codes.read(path, record.width, record.height)
        size = (record.width, record.height) if record.width else None
        return read_values(path, size, f"its image {record.file_name}", labelled.colours)

    def _count(
        self, record: ImageRecord, labels_HW: NDArray[np.integer], predicted_HW: NDArray[np.integer]
    ) -> tuple[str | None, str | None]:
        """Count an image; return what is wrong with its label and its prediction."""
        labels_X, predicted_X = labels_HW.reshape(-1), predicted_HW.reshape(-1)
        starts = run_starts(labels_X, predicted_X, scratch=self._scratch)
        lengths = np.diff(starts, append=len(labels_X))
        label_R, predicted_R = labels_X[starts], predicted_X[starts]
        try:
            class_R = self._label_classes(record, label_R)
        except ValueError as error:
            return f"{self._task.labelled.label_path(record)}: {error}", None
        guess_R = self._predicted_class[predicted_R]
        wrong_label = _unknown(label_R, class_R, "no class of the list")
        wrong_prediction = _unknown(predicted_R, guess_R, "no class of the labels")
        if wrong_label is None and wrong_prediction is None:
            guess_R[guess_R < 0] = self._num_classes
            kept = class_R >= 0
            index_R = class_R[kept] * (self._num_classes + 1) + guess_R[kept]
            # bincount sums in float64, in which integers below 2^53 are exact.
            found = np.bincount(index_R, lengths[kept], minlength=self.counts.size)
            self.counts += found.astype(np.int64).reshape(self.counts.shape)
        return wrong_label, wrong_prediction

    def _label_classes(self, record: ImageRecord, label_R: NDArray[np.integer]) -> NDArray[np.int64]:
        if self._task.labelled.map_values is not None:
            of_value: NDArray[np.int64] = self._labelled_class[label_R]
            return of_value
        ids = np.array([segment.id for segment in record.segments], np.int64)
        classes = [_NONE, *(self._task.class_ids[segment.category_id] for segment in record.segments)]
        segments_R = label_R.astype(np.int64)[None] - OPAQUE
        found: NDArray[np.int64] = np.array(classes, np.int64)[dense_index(segments_R, ids, "label")]
        return found


def _unknown(values_R: NDArray[np.integer], classes_R: NDArray[np.int64], what: str) -> str | None:
    """Name the values that are not classes, and say ``what`` they are."""
    strange = np.unique(values_R[classes_R == _UNKNOWN]).tolist()
    if not strange:
        return None
    more = f" and {len(strange) - _VALUES} more" if len(strange) > _VALUES else ""
    shown = ", ".join(map(str, strange[:_VALUES]))
    which = f"value {shown}, which is" if len(strange) == 1 else f"values {shown}{more}, which are"
    return f"it contains the {which} {what}"
