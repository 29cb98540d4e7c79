"""A peer's predictions of the same images: COCO's panoptic format, or a label map for each image.

What is wrong with them is collected by image and told at once. Shape: H W image.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from scaseg_cli.data.label_maps import read_map
from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.data.records import IGNORED, MAX_MAP_VALUE
from scaseg_cli.data.segment_png import OPAQUE, CodeReader
from scaseg_cli.errors import ScasegError
from scaseg_cli.external.predicted_set import read_predictions
from scaseg_cli.measures.fusion import Prediction
from scaseg_cli.measures.panoptic_quality import dense_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.data.records import ImageRecord, LabelledSet
    from scaseg_cli.split import ClassList

_SHOWN = 20  # images with mistakes that are named; more are counted
_PANOPTIC_HINT = "Each image needs one prediction: a panoptic PNG of its size, and its segments in the JSON."
_MAP_HINT = "Each image needs a label map of its size, called as the image and ending .png, of one category id a pixel."


class Peer(Protocol):
    """Predictions in a folder."""

    folder: Path
    hint: str

    def problems(self, record: ImageRecord) -> list[str]:
        """What is known to be wrong with an image's prediction before its pixels are read."""

    def read(self, record: ImageRecord) -> Prediction:
        """The prediction of one image.

        Raises:
            ScasegError: its PNG is missing, damaged, of another size, or does not hold what it must.
        """


def open_peer(folder: Path, images: LabelledSet, classes: ClassList) -> Peer:
    """The predictions in ``folder``, in the format that the labels of ``images`` have.

    Raises:
        ScasegError: there is no such folder or, for panoptic labels, no JSON of COCO's format.
    """
    if images.map_values is None:
        return PanopticPeer(folder, images, classes)
    return MapPeer(folder, classes)


def check_peer(peer: Peer, records: Sequence[ImageRecord]) -> None:
    """Go on only if the predictions of all these images are there, as far as can be told without their pixels.

    Raises:
        ScasegError: some are not; names the images.
    """
    mistakes = Mistakes(f"the folder of predictions {peer.folder}", at_most=_SHOWN)
    for record in records:
        problems = peer.problems(record)
        if problems:
            mistakes.add(f"image {record.image_id} ({record.file_name}): {'; '.join(problems)}")
    mistakes.stop_if_any(peer.hint)


def read_peer(peer: Peer, records: Sequence[ImageRecord]) -> list[Prediction]:
    """The predictions of these images.

    Raises:
        ScasegError: PNGs are missing or damaged, or hold what they must not; names the images.
    """
    mistakes = Mistakes(f"the folder of predictions {peer.folder}", at_most=_SHOWN)
    found = []
    for record in records:
        try:
            found.append(peer.read(record))
        except ScasegError as error:
            mistakes.add(f"image {record.image_id} ({record.file_name}): {error.message}")
    mistakes.stop_if_any(peer.hint)
    return found


class PanopticPeer:
    """Predictions in COCO's panoptic format, see `read_predictions`."""

    hint = _PANOPTIC_HINT

    def __init__(self, folder: Path, images: LabelledSet, classes: ClassList) -> None:
        self.folder, self._class_ids = folder, classes.class_ids
        self._set = read_predictions(folder, images)

    def problems(self, record: ImageRecord) -> list[str]:
        """What is wrong in the JSON, or that the PNG is missing."""
        found = self._set.images.get(record.image_id)
        missing = [f"{found.path} does not exist"] if found is not None and not found.path.is_file() else []
        return self._set.mistakes.get(record.image_id, []) + missing

    def read(self, record: ImageRecord) -> Prediction:
        """The segments, in the order of the JSON."""
        found = self._set.images[record.image_id]
        codes_HW = CodeReader().read(found.path, record.width, record.height)
        try:
            index_X = dense_index(codes_HW - np.uint32(OPAQUE), np.array(found.segment_ids, np.int64), "prediction")
        except ValueError as error:
            raise ScasegError(f"{found.path}: {error}") from error
        areas = np.bincount(index_X, minlength=len(found.segment_ids) + 1)[1:]
        if not areas.all():
            empty = found.segment_ids[int(areas.argmin())]
            raise ScasegError(f"{found.path} has no pixel of segment {empty}, which its JSON names")
        class_ids = [self._class_ids[category_id] for category_id in found.category_ids]
        return Prediction(index_X.astype(np.int32).reshape(codes_HW.shape), np.array(class_ids, np.int64))


class MapPeer:
    """Label maps of one category id a pixel; 255 where nothing is predicted."""

    hint = _MAP_HINT

    def __init__(self, folder: Path, classes: ClassList) -> None:
        if not folder.is_dir():
            raise ScasegError(f"the folder of predictions {folder} does not exist", "It holds a label map an image.")
        self.folder = folder
        self._class_ids = np.full(MAX_MAP_VALUE + 1, -1, np.int64)
        self._class_ids[list(classes.class_ids)] = list(classes.class_ids.values())

    def problems(self, record: ImageRecord) -> list[str]:
        """That the map is missing."""
        path = self._path(record)
        return [] if path.is_file() else [f"{path} does not exist"]

    def read(self, record: ImageRecord) -> Prediction:
        """The region of each class, which is one segment."""
        path = self._path(record)
        values_HW = read_map(path, (record.width, record.height), f"its image {record.file_name}")
        present, index_X = np.unique(values_HW, return_inverse=True)
        stray = [value for value in present.tolist() if value != IGNORED and self._class_ids[value] < 0]
        if stray:
            raise ScasegError(f"{path} holds {', '.join(map(str, stray[:5]))}, which the data has no category of")
        is_class = present != IGNORED
        number = np.where(is_class, np.cumsum(is_class), 0)
        map_HW = number[index_X].astype(np.int32).reshape(values_HW.shape)
        return Prediction(map_HW, self._class_ids[present[is_class]])

    def _path(self, record: ImageRecord) -> Path:
        """Called as the image or, where that is not there, as its label."""
        plain = self.folder / Path(record.file_name).with_suffix(".png")
        as_label = self.folder / record.label_name
        return as_label if as_label.is_file() and not plain.is_file() else plain
