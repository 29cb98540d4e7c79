"""The pictures in a run folder, made small enough for a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from scaseg_cli.data.decode import opened
from scaseg_cli.drawing.picture_key import key_of
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import hash_file

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.comparison.finished_run import FinishedRun

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


class Grids(NamedTuple):
    """The grids that `scaseg visualize` left in a run folder.

    Attributes:
        shown: those that were made by what the evaluation was made by, as far as there is room.
        too_large: names of those for which there was no room.
        stale: names of those that other weights or another recipe made.
        unknown: names of those that do not say what made them.
    """

    shown: list[Picture]
    too_large: list[str]
    stale: list[str]
    unknown: list[str]


def read_examples(finished: FinishedRun) -> Picture:
    """Read the evaluation's picture.

    Raises:
        ScasegError: the file is missing, is not an image, or is not what the evaluation wrote.
    """
    run = finished.run
    if not run.examples_file.is_file():
        raise ScasegError(f"{run.examples_file} is missing")
    output = finished.records["evaluation"]["outputs"].get(str(run.examples_file.relative_to(run.path)))
    if output is None or output["sha256"] != hash_file(run.examples_file):
        raise ScasegError(f"{run.examples_file} is not what this evaluation drew")
    return _picture(run.examples_file)


def read_grids(finished: FinishedRun) -> Grids:
    """Read the grids that `scaseg visualize` left in the run folder.

    A grid named like the evaluation's picture shows the same images and is skipped.

    Raises:
        ScasegError: a grid is not an image.
    """
    run, found = finished.run, Grids([], [], [], [])
    paths = sorted(run.visualization_file("any", ".png").parent.glob("*.png"))
    for path in (path for path in paths if path.name != run.examples_file.name):
        with opened(path, "picture") as image:
            key = key_of(image)
        if key != finished.evaluation_key:
            (found.unknown if key is None else found.stale).append(path.name)
            continue
        picture = _picture(path)
        if sum(len(one.uri) for one in (*found.shown, picture)) > _ALL_GRIDS:
            found.too_large.append(path.name)
        else:
            found.shown.append(picture)
    return found


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
