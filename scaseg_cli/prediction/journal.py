"""What an interrupted `scaseg predict` has written, so that the same command resumes there.

The journal is a file of JSON lines in the output folder: first the key of the call, then one line for each finished
image. It is removed when the call ends, and ignored if the call or an image has changed.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TextIO

import msgspec

from scaseg_cli.files import own_file
from scaseg_cli.prediction.sources import as_text

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.prediction.sources import Source

NAME = ".unfinished.jsonl"


class Entry(NamedTuple):
    """One image's entries in the JSON files.

    Attributes:
        image: its entry in ``images``.
        annotation: its entry in ``annotations``.
        masks: its entries in COCO's format of results, if that was asked for.
    """

    image: dict[str, Any]
    annotation: dict[str, Any]
    masks: list[dict[str, Any]]


class _Line(msgspec.Struct):
    source: str
    state: tuple[int, int]
    image: dict[str, Any]
    annotation: dict[str, Any]
    masks: list[dict[str, Any]]


@dataclass
class Journal:
    """The journal of a call.

    Attributes:
        folder: the output folder.
        key: identifies what the call writes.
        entries: what an interrupted call with this key has written, by the path of the image.
    """

    folder: Path
    key: str
    _file: TextIO | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.entries = self._read()

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self.folder / NAME

    def _read(self) -> dict[str, Entry]:
        """The entries of this call's finished images, by the source's path; images that changed since are left out."""
        found: dict[str, Entry] = {}
        if not self.path.is_file() or self.path.is_symlink():
            return found
        lines = self.path.read_bytes().splitlines()
        if not lines or lines[0] != self._head():
            return found
        for line in lines[1:]:
            try:
                item = msgspec.json.decode(line, type=_Line)
            except (msgspec.DecodeError, UnicodeDecodeError):  # the last one, of a killed call
                continue
            if _state(item.source) == item.state:
                found[item.source] = Entry(item.image, item.annotation, item.masks)
        return found

    def _head(self) -> bytes:
        return json.dumps({"key": self.key}).encode()

    def begin(self) -> None:
        """Open the file: after the entries of the interrupted call or, if there are none, from the start.

        Raises:
            ScasegError: the file is a link.
            OSError: it cannot be written.
        """
        mode: Literal["a", "w"] = "a" if self.entries else "w"
        self._file = file = open(self.path, mode, encoding="utf-8", opener=own_file)  # noqa: SIM115  # `end` closes it
        file.write("\n" if self.entries else f"{self._head().decode()}\n")  # ends a line that was cut off
        file.flush()

    def add(self, source: Source, entry: Entry) -> None:
        """Note that an image is finished; its files are written."""
        assert self._file is not None, "begin comes first"
        path = as_text(str(source.path))
        if (state := _state(path)) is not None:
            line = _Line(path, state, entry.image, entry.annotation, entry.masks)
            self._file.write(msgspec.json.encode(line).decode() + "\n")
            self._file.flush()

    def end(self, finished: bool) -> None:
        """Close the file, and remove it if the call has finished."""
        if self._file is not None:
            self._file.close()
        if finished:
            self.path.unlink(missing_ok=True)


def _state(path: str) -> tuple[int, int] | None:
    """Size and time of change of an image's file; None: it cannot be read."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns
