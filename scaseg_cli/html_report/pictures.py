"""The pictures that lie in a run folder, made small enough for a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.run_dir import RunDir

_LARGE = 900_000  # bytes of a picture that is taken as it is
_WIDTH = 1600  # pixels, of a larger one
_ALL_GRIDS = 2_000_000  # bytes of the grids of one run, so that the page stays below five million


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: its file's, without the suffix.
        uri: the picture itself, as a data: URI.
    """

    name: str
    uri: str


def read_examples(run: RunDir) -> Picture:
    """The evaluation's picture.

    Raises:
        ScasegError: it is gone, or no picture.
    """
    if not run.examples_file.is_file():
        raise ScasegError(f"{run.examples_file} is gone")
    return _picture(run.examples_file)


def read_grids(run: RunDir) -> tuple[list[Picture], list[str]]:
    """The grids that `scaseg visualize` left in the run folder, by name, and the names of those there is no room for.

    One called as the evaluation's picture shows the same images, and is left where it is.

    Raises:
        ScasegError: one is no picture.
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
    """A picture as it is; a large one as a JPEG."""
    data, kind = path.read_bytes(), "png"
    try:
        with Image.open(path) as image:
            image.load()
            if len(data) > _LARGE:
                image.thumbnail((_WIDTH, 8 * _WIDTH))
                file = io.BytesIO()
                image.convert("RGB").save(file, "JPEG", quality=85)
                data, kind = file.getvalue(), "jpeg"
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ScasegError(f"{path} is no picture: {error}") from error
    return Picture(path.stem, f"data:image/{kind};base64,{base64.b64encode(data).decode()}")
