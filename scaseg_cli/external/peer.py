"""Reads a peer's predictions of the same images: COCO's panoptic format, or one label map per image.

Mistakes are collected by image and reported together. Shape: H W image.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from scaseg_cli.data.label_maps import read_map
from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.data.records import IGNORED, MAX_MAP_VALUE
from scaseg_cli.data.segment_png import OPAQUE, CodeReader, silent_decoder
from scaseg_cli.errors import ScasegError
from scaseg_cli.external.predicted_set import read_predictions
from scaseg_cli.measures.fusion import Prediction
from scaseg_cli.measures.panoptic_quality import dense_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.data.records import ImageRecord, LabelledSet
    from scaseg_cli.split.classes import ClassList

_SHOWN = 20  # images with mistakes to name; further ones are counted
_PANOPTIC_HINT = "Provide one prediction per image: a panoptic PNG of the image size, and its segments in the JSON."
_MAP_HINT = "Provide one label map per image, NAME.png for NAME.jpg, of the image size, with one category id per pixel."


class Peer(Protocol):
    """A folder of predictions."""

    folder: Path
    hint: str

    def problems(self, record: ImageRecord) -> list[str]:
        """List what is wrong with an image's prediction, without reading its pixels."""

    def read(self, record: ImageRecord) -> Prediction:
        """Read the prediction of one image.

        Raises:
            ScasegError: its PNG is missing or damaged, has another size, or has unexpected values.
        """


def open_peer(folder: Path, images: LabelledSet, classes: ClassList) -> Peer:
    """Open the predictions in ``folder``, in the format of the labels of ``images``.

    Raises:
        ScasegError: the folder does not exist or, for panoptic labels, there is no JSON in COCO's format.
    """
    if images.map_values is None:
        return PanopticPeer(folder, images, classes)
    return MapPeer(folder, classes)


def check_peer(peer: Peer, records: Sequence[ImageRecord]) -> None:
    """Check that all these images have a prediction, without reading pixels.

    Raises:
        ScasegError: some predictions are missing or wrong; names the images.
    """
    mistakes = Mistakes(f"the folder of predictions {peer.folder}", at_most=_SHOWN)
    for record in records:
        problems = peer.problems(record)
        if problems:
            mistakes.add(f"image {record.image_id} ({record.file_name}): {'; '.join(problems)}")
    mistakes.stop_if_any(peer.hint)


def read_peer(peer: Peer, records: Sequence[ImageRecord]) -> list[Prediction]:
    """Read the predictions of these images.

    Raises:
        ScasegError: PNGs are missing or damaged, or have unexpected values; names the images.
    """
    mistakes = Mistakes(f"the folder of predictions {peer.folder}", at_most=_SHOWN)
    found = []
    with silent_decoder():
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
        """List the mistakes in the JSON, and whether the PNG is missing."""
        found = self._set.images.get(record.image_id)
        missing = [f"{found.path} does not exist"] if found is not None and not found.path.is_file() else []
        return self._set.mistakes.get(record.image_id, []) + missing

    def read(self, record: ImageRecord) -> Prediction:
        """Read the segments, in the order of the JSON."""
        found = self._set.images[record.image_id]
        codes_HW = CodeReader().read(found.path, record.width, record.height)
        try:
            index_X = dense_index(codes_HW - np.uint32(OPAQUE), np.array(found.segment_ids, np.int64), "prediction")
        except ValueError as error:
            raise ScasegError(f"{found.path}: {error}") from error
        areas = np.bincount(index_X, minlength=len(found.segment_ids) + 1)[1:]
        if not areas.all():
            empty = found.segment_ids[int(areas.argmin())]
            raise ScasegError(f"{found.path} has no pixel of segment {empty}, which is in its JSON")
        class_ids = [self._class_ids[category_id] for category_id in found.category_ids]
        return Prediction(index_X.astype(np.int32).reshape(codes_HW.shape), np.array(class_ids, np.int64))


class MapPeer:
    """Label maps with one category id per pixel; 255 is no prediction."""

    hint = _MAP_HINT

    def __init__(self, folder: Path, classes: ClassList) -> None:
        if not folder.is_dir():
            raise ScasegError(
                f"the folder of predictions {folder} does not exist", "Name a folder with one label map per image."
            )
        self.folder = folder
        self._class_ids = np.full(MAX_MAP_VALUE + 1, -1, np.int64)
        self._class_ids[list(classes.class_ids)] = list(classes.class_ids.values())

    def problems(self, record: ImageRecord) -> list[str]:
        """Report whether the map is missing."""
        path = self._path(record)
        return [] if path.is_file() else [f"{path} does not exist"]

    def read(self, record: ImageRecord) -> Prediction:
        """Read the region of each class as one segment."""
        path = self._path(record)
        values_HW = read_map(path, (record.width, record.height), f"its image {record.file_name}")
        present, index_X = np.unique(values_HW, return_inverse=True)
        stray = [value for value in present.tolist() if value != IGNORED and self._class_ids[value] < 0]
        if stray:
            raise ScasegError(
                f"{path} contains {', '.join(map(str, stray[:5]))}, which are not category ids of the data"
            )
        is_class = present != IGNORED
        number = np.where(is_class, np.cumsum(is_class), 0)
        map_HW = number[index_X].astype(np.int32).reshape(values_HW.shape)
        return Prediction(map_HW, self._class_ids[present[is_class]])

    def _path(self, record: ImageRecord) -> Path:
        """Named like the image or, if that does not exist, like its label."""
        plain = self.folder / Path(record.file_name).with_suffix(".png")
        as_label = self.folder / record.label_name
        return as_label if as_label.is_file() and not plain.is_file() else plain
