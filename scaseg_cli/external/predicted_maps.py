"""Finds the semantic predictions of a folder: one label map per image, or Detectron2's JSON of run-length codes.

A map belongs to the image or label with the same path below its folder, without the suffix and the endings that data
sets add (`_ENDINGS`). Shapes: H W image.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from scaseg_cli.data.decode import opened
from scaseg_cli.data.folders import files_below
from scaseg_cli.data.label_maps import read_map
from scaseg_cli.data.map_pairs import TRAIN_IDS
from scaseg_cli.data.records import MAX_MAP_VALUE
from scaseg_cli.data.segment_png import check_chunks, decoded_quickly, read_content
from scaseg_cli.errors import ScasegError
from scaseg_cli.external.predicted_set import check_folder
from scaseg_cli.files import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaseg_cli.data.label_maps import MapPixels
    from scaseg_cli.data.map_colours import ColourTable
    from scaseg_cli.data.records import ImageRecord

_ENDINGS = ("_gtFine" + TRAIN_IDS, TRAIN_IDS, "_leftImg8bit")  # of MMSegmentation's label maps, of Cityscapes' images
MAP_SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
CODES_FILE = "sem_seg_predictions.json"  # Detectron2's name
_CODES_HINT = (
    "Detectron2's SemSegEvaluator writes a list of {'file_name', 'category_id', 'segmentation': {'size', 'counts'}}."
)


def key_of(name: str, has_suffix: bool = True) -> str:
    """The path of an image or a label map without its file suffix, if it has one, and endings.

    >>> key_of("bonn/bonn_1_leftImg8bit.png"), key_of("bonn/bonn_1_gtFine_labelTrainIds.png")
    ('bonn/bonn_1', 'bonn/bonn_1')
    """
    key = str(PurePosixPath(name).with_suffix("") if has_suffix else PurePosixPath(name))
    return key.removesuffix(next((ending for ending in _ENDINGS if key.endswith(ending)), ""))


@dataclass(frozen=True)
class PredictedMaps:
    """The predictions of a folder.

    Attributes:
        folder: the folder.
        files: label maps by `key_of` of their names, and by its last part where that is unique.
        codes: run-length codes of each class by the key of their image; empty where the folder has label maps.
        json_file: the file of the run-length codes; None: the folder has label maps.
        colours: the labels' table of colours, by which maps of three or four channels are read too.
    """

    folder: Path
    files: Mapping[str, Path]
    codes: Mapping[str, list[tuple[int, dict[str, Any]]]]
    json_file: Path | None = None
    colours: ColourTable | None = None

    @property
    def where(self) -> str:
        """The folder or the file, for messages."""
        if self.json_file is not None:
            return f"the file of predictions {self.json_file}"
        return f"the folder of predictions {self.folder}"

    def find(self, record: ImageRecord) -> str | None:
        """The key of an image's prediction; None if it has none."""
        keys = [key_of(record.file_name), key_of(record.label_name)]
        known = self.codes or self.files
        return next((key for key in (*keys, *(PurePosixPath(key).name for key in keys)) if key in known), None)

    def read(self, key: str, size: tuple[int, int]) -> MapPixels:
        """Read the category id of every pixel, [H,W]; 65535 where run-length codes have no class.

        Raises:
            ScasegError: the map is damaged or has not the size W, H.
        """
        if not self.codes:
            return self._read_map(self.files[key], size)
        values_HW = np.full((size[1], size[0]), MAX_MAP_VALUE, np.uint16)
        for category_id, code in self.codes[key]:
            if list(code.get("size", ())) != [size[1], size[0]]:
                raise ScasegError(f"the prediction of {key} has the size {code.get('size')}, not {[size[1], size[0]]}")
            values_HW[_decoded(code, key)] = category_id
        return values_HW

    def _read_map(self, path: Path, size: tuple[int, int]) -> MapPixels:
        if self.colours is None or not _has_colours(path):
            return read_values(path, size, "its label")
        ids = [MAX_MAP_VALUE if category_id is None else category_id for category_id in self.colours.category_ids]
        places_HW = read_map(path, size, "its label", self.colours)
        return np.array(ids, np.uint16)[places_HW]


def _has_colours(path: Path) -> bool:
    with opened(path, "label map") as image:
        return image.mode in ("RGB", "RGBA")


def _decoded(code: dict[str, Any], key: str) -> Any:
    from pycocotools import mask

    try:
        return mask.decode(code).astype(bool)
    except Exception as error:  # pycocotools raises whatever its parser meets
        raise ScasegError(f"the prediction of {key} is not a run-length code of COCO") from error


def read_values(
    path: Path, size: tuple[int, int] | None, size_of: str, colours: ColourTable | None = None
) -> MapPixels:
    """`read_map`, at decoding speed for grey PNGs of 8 and 16 bits.

    Args:
        path: the label map.
        size: required W, H; None: any.
        size_of: what has that size, for the error message.
        colours: for maps painted in colours.

    Raises:
        ScasegError: as `read_map` does.
    """
    if path.suffix.lower() == ".png" and colours is None:
        content = read_content(path)
        header = check_chunks(path, content, None)
        found = (header.width, header.height)
        size = found if size is None else size
        values_HW = decoded_quickly(path, content, header) if found == size and header.colour == 0 else None
        if values_HW is not None:
            return values_HW  # type: ignore[return-value]  # grey is of 8 or 16 bits
    if size is None:
        with opened(path, "label map") as image:
            size = image.size
    return read_map(path, size, size_of, colours)


def open_maps(folder: Path, json_file: Path | None = None) -> PredictedMaps:
    """Find the predictions in ``folder``.

    Args:
        folder: the folder of label maps, or of Detectron2's JSON.
        json_file: Detectron2's JSON, where it is elsewhere.

    Raises:
        ScasegError: the folder does not exist or has no predictions, or the JSON is not Detectron2's.
    """
    check_folder(folder, "Name a folder with one label map per image.")
    codes = json_file if json_file is not None else folder / CODES_FILE
    if codes.is_file():
        return PredictedMaps(folder, {}, _read_codes(codes), codes)
    if json_file is not None:
        raise ScasegError(f"the file of predictions {json_file} does not exist", "Check --predictions-json.")
    files: dict[str, Path] = {}
    by_name: dict[str, list[Path]] = defaultdict(list)
    for name in files_below(folder, "predictions"):
        if name.lower().endswith(MAP_SUFFIXES):
            files[key_of(name)] = folder / name
            by_name[PurePosixPath(key_of(name)).name].append(folder / name)
    if not files:
        raise ScasegError(f"the folder of predictions {folder} contains no PNG", f"Write label maps, or {CODES_FILE}.")
    alone = {name: paths[0] for name, paths in by_name.items() if len(paths) == 1}
    return PredictedMaps(folder, {**alone, **files}, {})


def _read_codes(path: Path) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    items = read_json(path, "the file of predictions")
    found: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for place, item in enumerate(items if isinstance(items, list) else [None]):
        name = item.get("file_name") if isinstance(item, dict) else None
        category_id, code = (item.get("category_id"), item.get("segmentation")) if isinstance(item, dict) else (0, 0)
        is_id = type(category_id) is int and 0 <= category_id < MAX_MAP_VALUE
        if not isinstance(name, str) or not is_id or not isinstance(code, dict):
            raise ScasegError(f"{path}: item {place} is not a prediction of Detectron2", _CODES_HINT)
        found[PurePosixPath(key_of(name)).name].append((int(category_id or 0), code))
    if not found:
        raise ScasegError(f"{path} has no predictions", _CODES_HINT)
    return dict(found)
