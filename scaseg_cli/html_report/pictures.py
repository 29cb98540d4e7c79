"""The pictures in a run folder, made small enough for a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaseg_cli.data.decode import opened
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.run_dir import RunDir

_LARGE = 900_000  # bytes; a larger picture is reduced
_WIDTH = 1600  # pixels of a reduced picture
_ALL_GRIDS = 2_000_000  # bytes of all grids of a run, so that the page stays below five million


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: name of its file, without the suffix.
        uri: the picture itself, as a data: URI.
    """

    name: str
    uri: str


def read_examples(run: RunDir) -> Picture:
    """Read the evaluation's picture.

    Raises:
        ScasegError: the file is missing, or is not an image.
    """
    if not run.examples_file.is_file():
        raise ScasegError(f"{run.examples_file} is missing")
    return _picture(run.examples_file)


def read_grids(run: RunDir) -> tuple[list[Picture], list[str]]:
    """Read the grids that `scaseg visualize` left in the run folder, and the names of those that exceed the limit.

    A grid named like the evaluation's picture shows the same images and is skipped.

    Raises:
        ScasegError: a grid is not an image.
    """
    found: list[Picture] = []
    without: list[str] = []
    paths = sorted(run.visualization_file("any", ".png").parent.glob("*.png"))
    for path in (path for path in paths if path.name != run.examples_file.name):
        picture = _picture(path)
        if sum(len(one.uri) for one in (*found, picture)) > _ALL_GRIDS:
            without.append(path.name)
        else:
            found.append(picture)
    return found, without


def _picture(path: Path) -> Picture:
    """The picture unchanged, or as a smaller JPEG if it is large."""
    data, kind = path.read_bytes(), "png"
    with opened(path, "picture") as image:
        image.load()
        if len(data) > _LARGE:
            image.thumbnail((_WIDTH, 8 * _WIDTH))
            file = io.BytesIO()
            image.convert("RGB").save(file, "JPEG", quality=85)
            data, kind = file.getvalue(), "jpeg"
    return Picture(path.stem, f"data:image/{kind};base64,{base64.b64encode(data).decode()}")
