"""Reads panoptic PNGs at decoding speed: one number per pixel, without an intermediate array of ids.

A pixel's *code* is its segment id plus `OPAQUE`: the four bytes R, G, B, 255 viewed as one number, at no cost. The
checksum of every chunk is compared first, so that a damaged file gets a clear error. OpenCV's decoder is faster than
Pillow's and releases the GIL. Shapes: H W image.
"""

from __future__ import annotations

import os
import struct
import sys
import zlib
from contextlib import ExitStack, contextmanager, redirect_stderr
from typing import TYPE_CHECKING, TextIO

import cv2
import numpy as np

from scaseg_cli.data.decode import check_announced
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

OPAQUE = 0xFF000000  # the code of void, and the difference between a code and its segment id
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = 13  # bytes of the chunk IHDR
_PIXELS = {0: "grey", 2: "RGB", 3: "a palette", 4: "grey with alpha", 6: "RGB with alpha"}
_COLOURED = (2, 3, 6)
_HINT = "Encode the segment id in RGB as R + 256 G + 65536 B, 8 bits each."


class CodeReader:
    """Reads PNGs into one reused buffer, because allocating it costs as much as decoding."""

    def __init__(self) -> None:
        self._pixels_HW4 = np.empty((0, 0, 4), np.uint8)

    def read(self, path: Path, width: int, height: int) -> NDArray[np.uint32]:
        """Read the code of every pixel, uint32 [H, W]: segment id + `OPAQUE`. Transparency is ignored.

        The returned array is valid until the next call.

        Args:
            path: the file.
            width: required W.
            height: required H.

        Raises:
            ScasegError: the file is missing, truncated, damaged or not a PNG, has another size, or its pixels are not
                8-bit colours.
        """
        content = _content(path)
        _check_chunks(path, content, (width, height))
        check_announced(path, (width, height), len(content))
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        try:
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
        except cv2.error as error:  # beyond OpenCV's limits of pixels
            raise ScasegError(f"{path} cannot be decoded by OpenCV: {error.err}") from error
        if pixels is None or pixels.shape[:2] != (height, width):  # valid checksums, but no image
            raise ScasegError(f"{path} is damaged: its pixels cannot be decoded")
        if self._pixels_HW4.shape[:2] != (height, width):
            self._pixels_HW4 = np.empty((height, width, 4), np.uint8)
        cv2.cvtColor(pixels, cv2.COLOR_BGR2RGBA, self._pixels_HW4)
        return self._pixels_HW4.view("<u4")[..., 0]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ScasegError(f"{path} does not exist") from error
    except OSError as error:
        raise ScasegError(f"{path} cannot be read: {error.strerror}") from error


@contextmanager
def one_thread_a_call() -> Iterator[None]:
    """Make OpenCV run each call in the calling thread while the block runs.

    Its own threads triple the time to read a PNG, because each call takes only a twentieth of a millisecond.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


@contextmanager
def silent_decoder() -> Iterator[None]:
    """Drop what libpng and OpenCV write to file descriptor 2 while the block runs.

    They describe what is wrong with a PNG without its name, among our own lines; `CodeReader` raises an error instead.
    What Python writes to ``sys.stderr`` is not dropped.
    """
    with ExitStack() as undo:
        sys.stderr.flush()
        try:
            saved = os.dup(2)
        except OSError:  # the caller closed it; then there is nothing to redirect
            yield
            return
        own = undo.enter_context(open(saved, "w", encoding="utf-8", errors="backslashreplace", buffering=1))
        if _is_on_descriptor_2(sys.stderr):
            undo.enter_context(redirect_stderr(own))
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        undo.callback(os.dup2, saved, 2)
        yield


def _is_on_descriptor_2(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 2
    except (OSError, ValueError):  # a notebook's, for example
        return False


def _check_chunks(path: Path, content: bytes, size: tuple[int, int]) -> None:
    """Check that every chunk is intact and that the image has the required size and pixel type."""
    if content[:8] != _SIGNATURE:
        raise ScasegError(f"{path} is not a PNG" if content else f"{path} is empty", _HINT)
    position, kind = 8, b""
    while kind != b"IEND":
        header = content[position : position + 8]
        if len(header) < 8:
            raise ScasegError(f"{path} is truncated")
        length, kind = struct.unpack(">I4s", header)
        if not kind.isalpha() or (kind == b"IHDR") != (position == 8):
            raise ScasegError(f"{path} is damaged: a chunk is {kind!r} where the format has another")
        end = position + 8 + length
        if end + 4 > len(content):
            raise ScasegError(f"{path} is truncated")
        if zlib.crc32(content[position + 4 : end]) != struct.unpack(">I", content[end : end + 4])[0]:
            raise ScasegError(f"{path} is damaged: its {kind.decode('latin-1')} chunk has a wrong checksum")
        if kind == b"IHDR":
            _check_header(path, content[position + 8 : end], size)
        position = end + 4


def _check_header(path: Path, header: bytes, size: tuple[int, int]) -> None:
    if len(header) != _HEADER:
        raise ScasegError(f"{path} is damaged: its IHDR chunk has {len(header)} bytes, not {_HEADER}")
    width, height, depth, colour = struct.unpack(">IIBB", header[:10])
    if (width, height) != size:
        raise ScasegError(f"{path} is {width} x {height} pixels, not {size[0]} x {size[1]}")
    if colour not in _COLOURED or depth > 8:
        raise ScasegError(f"{path} has pixels of {depth} bits, {_PIXELS.get(colour, 'unknown')}", _HINT)
