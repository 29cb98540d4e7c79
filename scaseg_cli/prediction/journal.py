"""What an interrupted `scaseg predict` has written, so that the same command resumes there.

The journal is a file of JSON lines in the output folder: first the key of the call, then one line for each finished
image. It is removed when the call ends, and ignored if the call or an image has changed.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import msgspec

from scaseg_cli.files import own_file, write_bytes
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
    """``first``: the image was the first one of a batch of the call that wrote the line."""

    source: str
    state: tuple[int, int]
    first: bool
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
        """The entries of this call's finished images, by the source's path; images that changed since are left out.

        So is the last batch, which may have more images: the last bits of a result can depend on its batch.
        """
        found: dict[str, Entry] = {}
        if not self.path.is_file() or self.path.is_symlink():
            return found
        lines = self.path.read_bytes().splitlines()
        if not lines or lines[0] != self._head():
            return found
        items: list[_Line] = []
        for line in lines[1:]:
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):  # the last one, of a killed call
                items.append(msgspec.json.decode(line, type=_Line))
        last = max((place for place, item in enumerate(items) if item.first), default=len(items))
        for item in items[:last]:
            if _state(item.source) == item.state:
                found[item.source] = Entry(item.image, item.annotation, item.masks)
        return found

    def _head(self) -> bytes:
        return json.dumps({"key": self.key}).encode()

    def begin(self) -> None:
        """Write the file with the entries of the interrupted call, and open it for more.

        Raises:
            ScasegError: it cannot be written.
        """
        taken = [(path, entry, _state(path)) for path, entry in self.entries.items()]
        lines = [_Line(path, state, False, *entry) for path, entry, state in taken if state is not None]
        write_bytes(self.path, b"\n".join([self._head(), *map(msgspec.json.encode, lines)]) + b"\n")
        self._file = open(self.path, "a", encoding="utf-8", opener=own_file)  # noqa: SIM115  # `end` closes it

    def add(self, source: Source, entry: Entry, first: bool) -> None:
        """Note that an image is finished, whose files are written; ``first``: it was the first one of a batch."""
        assert self._file is not None, "begin comes first"
        path = as_text(str(source.path))
        if (state := _state(path)) is not None:
            line = _Line(path, state, first, entry.image, entry.annotation, entry.masks)
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
