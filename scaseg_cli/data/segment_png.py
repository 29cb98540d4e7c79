"""Reads panoptic PNGs at decoding speed: one number per pixel, without an intermediate array of ids.

A pixel's *code* is its segment id plus `OPAQUE`: the four bytes R, G, B, 255 viewed as one number, at no cost. The
checksum of every chunk is compared first, so that a damaged file gets a clear error. kornia-rs decodes plain colours
and grey in a sixth of OpenCV's time (benchmarks/panoptic_quality.py); it keeps the GIL, so threads gain nothing.
OpenCV decodes the rest: palettes, interlaced files, and every file where kornia-rs is not installed. Shapes: H W image.
"""

from __future__ import annotations

import os
import struct
import sys
import zlib
from contextlib import ExitStack, contextmanager, redirect_stderr
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, TextIO

import cv2
import numpy as np

from scaseg_cli.data.decode import check_announced
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike
    from types import ModuleType

    from numpy.typing import NDArray

OPAQUE = 0xFF000000  # the code of void, and the difference between a code and its segment id
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = 13  # bytes of the chunk IHDR
_CHUNK_START, _CHECKSUM = struct.Struct(">I4s").unpack_from, struct.Struct(">I").unpack_from
_PIXELS = {0: "grey", 2: "RGB", 3: "a palette", 4: "grey with alpha", 6: "RGB with alpha"}
_GREY, _RGB, _RGBA = 0, 2, 6
# Depths of each colour type that can hold segment ids. A grey pixel is its id; a colour is R + 256 G + 65536 B.
_DEPTHS = {_GREY: (8, 16), _RGB: (8,), 3: (1, 2, 4, 8), _RGBA: (8,)}
_HINT = "Encode the segment id in RGB as R + 256 G + 65536 B, 8 bits each."


def _quick_decoder() -> ModuleType | None:
    """kornia-rs; None on a platform for which it has no wheel."""
    try:
        return import_module("kornia_rs.io")
    except ImportError:
        return None


kornia = _quick_decoder()


class Header(NamedTuple):
    """What the first chunk of a PNG says; sizes in pixels, depth in bits per channel."""

    width: int
    height: int
    depth: int
    colour: int
    is_interlaced: bool


class CodeReader:
    """Reads PNGs into one reused buffer, because allocating it costs as much as decoding."""

    def __init__(self) -> None:
        self._codes_HW = np.empty((0, 0), np.uint32)

    def read(self, path: str | PathLike[str], width: int, height: int) -> NDArray[np.uint32]:
        """Read the code of every pixel, uint32 [H, W]: segment id + `OPAQUE`. Transparency is ignored.

        The returned array is valid until the next call.

        Args:
            path: the file; 8-bit colours, a palette, or grey of 8 or 16 bits.
            width: required W.
            height: required H.

        Raises:
            ScasegError: the file is missing, truncated, damaged or not a PNG, has another size, or its pixels are not
                segment ids.
        """
        content = read_content(path)
        header = check_chunks(path, content, (width, height))
        if header.depth not in _DEPTHS.get(header.colour, ()):
            raise ScasegError(
                f"{path} has pixels of {header.depth} bits, {_PIXELS.get(header.colour, 'unknown')}", _HINT
            )
        check_announced(path, (width, height), len(content))
        if self._codes_HW.shape != (height, width):
            self._codes_HW = np.empty((height, width), np.uint32)
        codes_HW, to_rgba = self._codes_HW, cv2.COLOR_RGB2RGBA
        pixels = decoded_quickly(path, content, header)
        if pixels is None:
            pixels, to_rgba = _decoded(path, content, header), cv2.COLOR_BGR2RGBA
        if pixels.ndim == 2:
            np.add(pixels, np.uint32(OPAQUE), out=codes_HW)
            return codes_HW
        channels_HW4 = codes_HW.view(np.uint8).reshape(height, width, 4)
        if pixels.shape[2] == 4:
            channels_HW4[..., :3] = pixels[..., :3]
            channels_HW4[..., 3] = 255
        else:
            cv2.cvtColor(pixels, to_rgba, channels_HW4)
        return codes_HW


def _decoded(path: str | PathLike[str], content: bytes, header: Header) -> NDArray[np.uint8 | np.uint16]:
    """Decode grey [H, W] or colours [H, W, BGR] with OpenCV."""
    flags = cv2.IMREAD_UNCHANGED if header.colour == _GREY else cv2.IMREAD_COLOR
    try:
        found = cv2.imdecode(np.frombuffer(content, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:  # beyond OpenCV's limits of pixels
        raise ScasegError(f"{path} cannot be decoded by OpenCV: {error.err}") from error
    if found is None or found.shape[:2] != (header.height, header.width):  # valid checksums, but no image
        raise ScasegError(f"{path} is damaged: its pixels cannot be decoded")
    return found  # type: ignore[return-value]  # the depth says which type


def decoded_quickly(path: str | PathLike[str], content: bytes, header: Header) -> NDArray[np.uint8 | np.uint16] | None:
    """Decode plain colours or grey with kornia-rs, [H, W] or [H, W, C]; None if it does not read such files.

    Args:
        path: the file, for the error message.
        content: its bytes, which `check_chunks` accepted.
        header: what `check_chunks` returned.

    Raises:
        ScasegError: the pixels cannot be decoded.
    """
    mode = {_GREY: "mono", _RGB: "rgb", _RGBA: "rgba"}.get(header.colour)
    if kornia is None or mode is None or header.is_interlaced or header.depth not in (8, 16):
        return None
    decode = kornia.decode_image_png_u8 if header.depth == 8 else kornia.decode_image_png_u16
    try:
        pixels: NDArray[np.uint8 | np.uint16] = decode(content, (header.height, header.width), mode)
    except Exception as error:  # kornia-rs raises nothing more special
        raise ScasegError(f"{path} is damaged: its pixels cannot be decoded") from error
    return pixels[..., 0] if header.colour == _GREY else pixels


def read_content(path: str | PathLike[str]) -> bytes:
    """Read the bytes of a file.

    Raises:
        ScasegError: the file is missing or cannot be read.
    """
    try:
        with open(path, "rb", buffering=0) as file:  # a buffer would cost as much as reading
            return file.readall()
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


def check_chunks(path: str | PathLike[str], content: bytes, size: tuple[int, int] | None) -> Header:
    """Check that every chunk of a PNG is intact, and its size; return what its header says.

    Raises:
        ScasegError: ``content`` is not a PNG, is truncated or damaged, or the image has not the size W, H.
    """
    if content[:8] != _SIGNATURE:
        raise ScasegError(f"{path} is not a PNG" if content else f"{path} is empty", _HINT)
    position, kind = 8, b""
    header: Header | None = None
    while kind != b"IEND":
        if position + 8 > len(content):
            raise ScasegError(f"{path} is truncated")
        length, kind = _CHUNK_START(content, position)
        if not kind.isalpha() or (kind == b"IHDR") != (position == 8):
            raise ScasegError(f"{path} is damaged: a chunk is {kind!r} where the format has another")
        end = position + 8 + length
        if end + 4 > len(content):
            raise ScasegError(f"{path} is truncated")
        if zlib.crc32(content[position + 4 : end]) != _CHECKSUM(content, end)[0]:
            raise ScasegError(f"{path} is damaged: its {kind.decode('latin-1')} chunk has a wrong checksum")
        if kind == b"IHDR":
            header = _header(path, content[position + 8 : end], size)
        position = end + 4
    assert header is not None  # the first chunk
    return header


def _header(path: str | PathLike[str], content: bytes, size: tuple[int, int] | None) -> Header:
    if len(content) != _HEADER:
        raise ScasegError(f"{path} is damaged: its IHDR chunk has {len(content)} bytes, not {_HEADER}")
    width, height, depth, colour, _, _, interlacing = struct.unpack(">IIBBBBB", content)
    if size is not None and (width, height) != size:
        raise ScasegError(f"{path} is {width} x {height} pixels, not {size[0]} x {size[1]}")
    return Header(width, height, depth, colour, bool(interlacing))
