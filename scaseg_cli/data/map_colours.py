"""Label maps painted in colours, as CamVid's and CVAT's: which colour is which class.

A painted map is read as a map of the colours' places in the table, so all code after it works on one value per pixel.
Shapes: H W pixels, C colours.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

RGB = tuple[int, int, int]
_HINT = "Write one colour per line, R G B NAME or NAME:R,G,B, or a JSON list of classes with their color."
_NUMBERS = r"(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})"
_COLOUR_FIRST = re.compile(rf"{_NUMBERS}[\s,;:]+(\S.*)")  # CamVid's label_colors.txt
_NAME_FIRST = re.compile(rf"(.*\S)[\s,;:]+{_NUMBERS}(?:[:;,\s].*)?")  # CVAT's labelmap.txt, class_dict.csv
_SHOWN = 5


@dataclass(frozen=True)
class ColourTable:
    """The colours of a set of painted label maps.

    Attributes:
        colours: each colour once.
        names: the name of each, for messages.
        category_ids: the category of each; None: no class. Several colours may have one category.
    """

    colours: tuple[RGB, ...]
    names: tuple[str, ...]
    category_ids: tuple[int | None, ...]

    @cached_property
    def _codes(self) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """The colours as sorted numbers [C], and the place of each in the table [C]."""
        codes = _codes_of(np.array(self.colours, np.uint8).reshape(-1, 3))
        order = np.argsort(codes)
        return codes[order], order

    def read(self, rgb_HW3: NDArray[np.uint8], path: Path) -> NDArray[np.uint16]:
        """The place in the table of every pixel's colour, uint16 [H,W].

        Raises:
            ScasegError: the map has colours that are not in the table; names them with their number of pixels.
        """
        flat = _codes_of(rgb_HW3.reshape(-1, 3))
        starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))  # of runs of one colour
        lengths = np.diff(starts, append=flat.size)
        known, order = self._codes
        places = np.searchsorted(known, flat[starts]).clip(max=len(known) - 1)
        strange = known[places] != flat[starts]
        if strange.any():
            raise _unknown_colours(path, flat[starts][strange], lengths[strange])
        return np.repeat(order[places].astype(np.uint16), lengths).reshape(rgb_HW3.shape[:2])


def _codes_of(rgb_X3: NDArray[np.uint8]) -> NDArray[np.uint32]:
    parts = rgb_X3.astype(np.uint32)
    codes: NDArray[np.uint32] = np.bitwise_or.reduce(parts << np.array([0, 8, 16], np.uint32), axis=1)
    return codes


def _unknown_colours(path: Path, codes: NDArray[np.uint32], lengths: NDArray[np.int64]) -> ScasegError:
    found: dict[int, int] = {}
    for code, length in zip(codes.tolist(), lengths.tolist(), strict=True):
        found[code] = found.get(code, 0) + length
    most = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{(code & 255, code >> 8 & 255, code >> 16)} ({count} pixels)" for code, count in most[:_SHOWN])
    more = f" and {len(most) - _SHOWN} more" if len(most) > _SHOWN else ""
    return ScasegError(
        f"the label map {path} contains the colours {shown}{more}, which are not in data.colours",
        "Add them to that file; a colour whose name is no class is ignored.",
    )


def read_colours(path: Path, category_ids: Mapping[str, int]) -> ColourTable:
    """Read a table of colours, and match its names with those of the classes in ``category_ids``.

    The file has one colour per line, ``R G B NAME`` or ``NAME:R,G,B``; or it is a JSON list of mappings with ``name``
    and ``color``, as the list of classes may be.

    Raises:
        ScasegError: the file is missing or no such table, two names have one colour, or a class has no colour.
    """
    what = f"the table of colours (data.colours) {path}"
    if not path.is_file():
        raise ScasegError(f"{what} does not exist", "Check data.colours in the recipe; it is relative to data.root.")
    mistakes = Mistakes(what)
    named = _in_json(path, mistakes) if path.suffix.lower() == ".json" else _in_text(path, mistakes)
    table: dict[RGB, str] = {}
    for colour, name in named:
        if table.setdefault(colour, name) != name:
            mistakes.add(f"{table[colour]!r} and {name!r} have the same colour {colour}")
    names = dict.fromkeys(table.values())
    for name in category_ids if named else ():
        if name not in names:
            near = difflib.get_close_matches(name, names.keys() - category_ids.keys(), n=1)
            also = f"; is it {near[0]!r}?" if near else ""
            mistakes.add(f"the class {name!r} has no colour{also}")
    mistakes.stop_if_any(_HINT)
    return ColourTable(tuple(table), tuple(table.values()), tuple(category_ids.get(name) for name in table.values()))


def _in_text(path: Path, mistakes: Mistakes) -> list[tuple[RGB, str]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ScasegError(f"{mistakes.where} cannot be read: {error}", _HINT) from error
    named = []
    for number, line in enumerate(map(str.strip, lines), start=1):
        found = _COLOUR_FIRST.fullmatch(line) or _NAME_FIRST.fullmatch(line)
        if found is not None:
            parts = found.groups()
            numbers, name = (
                (parts[:3], parts[3]) if parts[0].isdigit() and not parts[3].isdigit() else (parts[1:], parts[0])
            )
            red, green, blue = map(int, numbers)
            if max(red, green, blue) <= 255:
                named.append(((red, green, blue), name.strip(" \t\"'")))
            else:
                mistakes.add(f"line {number}: {line!r} has a number above 255")
        elif line and not line.startswith("#") and named:
            mistakes.add(f"line {number}: {line!r} is not a colour and a name")
    if not named:
        mistakes.add("it contains no line with three numbers and a name")
    return named


def _in_json(path: Path, mistakes: Mistakes) -> list[tuple[RGB, str]]:
    items = read_json(path, "the table of colours (data.colours)")
    named = []
    for place, item in enumerate(items if isinstance(items, list) else []):
        colour = item.get("color") if isinstance(item, dict) else None
        if isinstance(colour, list) and len(colour) == 3 and all(type(c) is int and 0 <= c <= 255 for c in colour):
            named.append(((colour[0], colour[1], colour[2]), str(item.get("name"))))
        else:
            mistakes.add(f"entry {place} has no color of three numbers in 0..255")
    if not named and not mistakes.count:
        mistakes.add("it is not a list of classes with their color")
    return named
