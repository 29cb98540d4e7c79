"""What a conversion writes: a panoptic JSON, and the folder of its PNGs beside it. An interrupted one continues."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import read_json, write_bytes, write_json
from scaseg_cli.results.console import say
from scaseg_cli.results.table import Column, Table
from scaseg_cli.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_STAMP = ".conversion.json"  # in the folder of PNGs while a conversion is not finished


@dataclass(frozen=True)
class Conversion:
    """What a conversion wrote.

    Attributes:
        json_file: the panoptic JSON.
        labels: the folder of panoptic PNGs.
        counts: what was converted and what was left out.
        notes: on what was left out, below the table.
    """

    json_file: Path
    labels: Path
    counts: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def table(self) -> Table:
        """The counts as a table, with the lines of a recipe."""
        columns = [Column(key, key.replace("_", " "), "count") for key in self.counts]
        notes = [
            *self.notes,
            f"In the recipe: {{images: FOLDER, annotations: {self.json_file.absolute()}, "
            f"labels: {self.labels.absolute()}}}",
        ]
        return Table(self.json_file.name, columns, [dict(self.counts)], notes)

    def as_json_value(self) -> dict[str, Any]:
        """The same as a JSON value."""
        return {"annotations": str(self.json_file), "labels": str(self.labels), "counts": dict(self.counts)}


@dataclass(frozen=True)
class PanopticOutput:
    """The place of a conversion's result.

    Attributes:
        json_file: the panoptic JSON; the PNGs are in the folder of its name without ``.json``.
        made_by: the command.
        key: hash of what is converted, and how; another conversion is not continued.
    """

    json_file: Path
    made_by: str
    key: str

    @property
    def labels(self) -> Path:
        """The folder of PNGs."""
        return self.json_file.with_suffix("")

    def begin(self) -> dict[str, int] | None:
        """Claim the place for this conversion; return the counts of one that has finished.

        Raises:
            ScasegError: something else is there.
        """
        if self.json_file.exists():
            content = read_json(self.json_file, "the panoptic file")
            info = content.get("info") if isinstance(content, dict) else None
            if isinstance(info, dict) and info.get("key") == self.key:
                counts: dict[str, int] = info["counts"]
                return counts
            raise ScasegError(
                f"{self.json_file} exists, and is not of this conversion", "Delete it, or choose another --output."
            )
        stamp = self.labels / _STAMP
        if stamp.is_file():
            if read_json(stamp, "the mark of a conversion") != {"key": self.key}:
                raise ScasegError(
                    f"{self.labels} holds a part of another conversion", "Delete it, or choose another --output."
                )
            say(f"continuing in {self.labels}")
            return None
        if self.labels.exists() and any(self.labels.iterdir()):
            raise ScasegError(f"{self.labels} exists and is not empty", "Delete it, or choose another --output.")
        write_json(stamp, {"key": self.key})
        return None

    def write_label(self, name: str, ids_HW: NDArray[np.integer]) -> None:
        """Write a PNG of segment ids, unless it exists."""
        path = self.labels / name
        if path.is_file():
            return
        rgb_HW3 = np.stack([ids_HW >> shift & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)
        content = BytesIO()
        Image.fromarray(rgb_HW3).save(content, "PNG")
        write_bytes(path, content.getvalue())

    def finish(
        self,
        images: list[dict[str, Any]],
        annotations: list[dict[str, Any]],
        categories: list[dict[str, Any]],
        counts: dict[str, int],
    ) -> None:
        """Write the JSON, which marks the conversion as finished."""
        info = {"made_by": self.made_by, "version": __version__, "key": self.key, "counts": counts}
        content = {"info": info, "images": images, "annotations": annotations, "categories": categories}
        write_json(self.json_file, content)
        (self.labels / _STAMP).unlink(missing_ok=True)


def segment_info(mask_HW: NDArray[np.bool_], segment_id: int, category_id: int, iscrowd: int = 0) -> dict[str, Any]:
    """The entry of a segment in the JSON, with its area and box in pixels. The mask has a pixel."""
    rows, columns = (np.flatnonzero(mask_HW.any(axis=axis)) for axis in (1, 0))
    left, top = int(columns[0]), int(rows[0])
    return {
        "id": segment_id,
        "category_id": category_id,
        "area": int(mask_HW.sum()),
        "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
        "iscrowd": iscrowd,
    }
