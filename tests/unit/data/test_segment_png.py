"""The fast reader of panoptic PNGs: it gives the same ids as the plain one and reports every damage."""

import contextlib
import os
import struct
import subprocess
import sys
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from scaseg_cli.data import segment_png
from scaseg_cli.data.images import read_image
from scaseg_cli.data.segment_png import OPAQUE, CodeReader, one_thread_a_call, silent_decoder
from scaseg_cli.errors import ScasegError

IDS = np.array([[0, 1, 255], [256, 65535, 65536], [16777215, 70000, 1]])
COLOURS = np.stack([IDS & 255, IDS >> 8 & 255, IDS >> 16], axis=-1).astype(np.uint8)


def png(image: Image.Image, **options) -> bytes:
    file = BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def read(tmp_path, content: bytes, width: int = 3, height: int = 3) -> np.ndarray:
    (tmp_path / "map.png").write_bytes(content)
    return CodeReader().read(tmp_path / "map.png", width, height)


def refused(tmp_path, content: bytes, says: str, **size: int) -> None:
    with pytest.raises(ScasegError, match=says) as caught:
        read(tmp_path, content, **size)
    assert str(tmp_path / "map.png") in caught.value.message


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_codes_are_ids_whatever_way_the_colours_are_stored(tmp_path, mode):
    image = Image.fromarray(COLOURS)
    if mode == "P":
        image = image.quantize(9)
        assert image.convert("RGB").tobytes() == COLOURS.tobytes()
    elif mode == "RGBA":
        image.putalpha(Image.fromarray(np.arange(9, dtype=np.uint8).reshape(3, 3)))
    codes = read(tmp_path, png(image))
    assert codes.dtype == np.uint32
    assert (codes - np.uint32(OPAQUE)).tolist() == IDS.tolist()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_pixel_is_its_id(tmp_path, dtype):
    ids = IDS.astype(dtype)
    codes = read(tmp_path, png(Image.fromarray(ids)))
    assert (codes - np.uint32(OPAQUE)).tolist() == ids.tolist()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "I;16"])
def test_both_decoders_give_the_same_codes(tmp_path, monkeypatch, mode):
    rng = np.random.default_rng(3)
    shape = {"RGB": (9, 7, 3), "RGBA": (9, 7, 4)}.get(mode, (9, 7))
    dtype = np.uint16 if mode == "I;16" else np.uint8
    content = png(Image.fromarray(rng.integers(0, np.iinfo(dtype).max, shape, dtype)))
    quick = read(tmp_path, content, 7, 9).tolist()
    monkeypatch.setattr(segment_png, "kornia", None)
    assert read(tmp_path, content, 7, 9).tolist() == quick


def test_an_interlaced_file_is_read(tmp_path):
    rows = [
        COLOURS[0::4, 0::4],
        COLOURS[:0],
        COLOURS[:0],
        COLOURS[0::4, 2::4],
        COLOURS[2::4, 0::2],
        COLOURS[0::2, 1::2],
    ]
    rows.append(COLOURS[1::2])  # the seven passes of PNG, section 8.2, for 3 x 3 pixels
    data = b"".join(b"\0" + row.tobytes() for part in rows if part.size for row in part)
    header = struct.pack(">IIBBBBB", 3, 3, 8, 2, 0, 0, 1)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    ]
    codes = read(tmp_path, b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    assert (codes - np.uint32(OPAQUE)).tolist() == IDS.tolist()


def test_transparency_and_exif_rotation_change_nothing(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    plain = read(tmp_path, png(Image.fromarray(COLOURS))).tolist()
    assert read(tmp_path, png(Image.fromarray(COLOURS), transparency=(1, 0, 0))).tolist() == plain
    assert read(tmp_path, png(Image.fromarray(COLOURS), exif=turned)).tolist() == plain


def test_a_reader_takes_maps_of_changing_sizes(tmp_path):
    reader = CodeReader()
    for place, (height, width) in enumerate([(2, 5), (5, 2), (1, 1), (5, 2)], start=1):
        path = tmp_path / f"{place}.png"
        Image.fromarray(np.full((height, width, 3), (place, 0, 0), np.uint8)).save(path)
        assert reader.read(path, width, height).tolist() == [[OPAQUE + place] * width] * height


def test_another_size_is_reported_before_decoding(tmp_path):
    refused(tmp_path, png(Image.fromarray(COLOURS)), "is 3 x 3 pixels, not 3 x 2", height=2)


@pytest.mark.parametrize(
    ("mode", "says"),
    [("LA", "8 bits, grey with alpha"), ("1", "1 bits, grey")],
)
def test_pixels_that_are_no_colours_are_refused(tmp_path, mode, says):
    refused(tmp_path, png(Image.fromarray(COLOURS).convert(mode)), rf"has pixels of {says}\n")


def test_sixteen_bit_colours_are_refused(tmp_path):
    done, content = cv2.imencode(".png", COLOURS.astype(np.uint16))
    assert done
    refused(tmp_path, content.tobytes(), r"has pixels of 16 bits, RGB\n")


def test_damage_is_reported(tmp_path):
    whole = png(Image.fromarray(COLOURS))
    refused(tmp_path, b"", "is empty")
    refused(tmp_path, b"\xff\xd8\xff" + whole, "is not a PNG")
    for length in (20, len(whole) // 2, len(whole) - 13, len(whole) - 1):
        refused(tmp_path, whole[:length], "is truncated")
    place = whole.index(b"IDAT") + 6
    refused(
        tmp_path, whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :], "its IDAT chunk has a wrong checksum"
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_pixels_that_cannot_be_decompressed_are_reported(tmp_path, capfd):
    whole = png(Image.fromarray(COLOURS))
    start = whole.index(b"IDAT")
    data = chunk(b"IDAT", b"nothing that zlib made")
    refused(tmp_path, whole[: start - 4] + data + whole[-12:], "its pixels cannot be decoded")
    capfd.readouterr()  # messages of the decoder


@pytest.mark.parametrize("length", [0, 1, 9, 12, 14])
def test_a_short_or_long_header_is_reported(tmp_path, length):
    whole = png(Image.fromarray(COLOURS))
    header = (whole[16:29] + b"\0")[:length]
    refused(tmp_path, whole[:8] + chunk(b"IHDR", header) + whole[33:], f"its IHDR chunk has {length} bytes, not 13")


def test_chunks_in_another_place_are_reported(tmp_path):
    whole = png(Image.fromarray(COLOURS))
    head, rest = whole[8:33], whole[33:]
    for content in (rest, chunk(b"tEXt", b"") + head + rest, head + head + rest, chunk(b"", b"") + head + rest):
        refused(
            tmp_path, whole[:8] + content, r"is (damaged: a chunk is b'\S+' where the format has another|truncated)"
        )
    refused(tmp_path, whole[:8] + head + chunk(b"\x1b[2J", b"") + rest, r"a chunk is b'\\x1b\[2J' where")


@pytest.mark.parametrize("kind", [b"PLTE", b"tRNS", b"gAMA", b"pHYs", b"sBIT", b"IDAT", b"iCCP", b"eXIf", b"zTXt"])
@pytest.mark.parametrize("data", [b"", b"\0"])
@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_empty_and_short_chunks_never_end_as_a_bug(tmp_path, capfd, kind, data, mode):
    """The decoder skips those that it can do without: then the pixels are right."""
    image = Image.fromarray(COLOURS) if mode == "RGB" else Image.fromarray(COLOURS).quantize(9)
    whole = png(image)
    content = whole[:33] + chunk(kind, data) + whole[33:]
    with contextlib.suppress(ScasegError):
        assert (read(tmp_path, content) - np.uint32(OPAQUE)).tolist() == IDS.tolist()
    with contextlib.suppress(ScasegError):
        assert read_image(tmp_path / "map.png").shape == (3, 3, 3)
    capfd.readouterr()  # messages of the decoder


def test_a_missing_file_and_a_folder_are_reported(tmp_path):
    with pytest.raises(ScasegError, match=r"none\.png does not exist"):
        CodeReader().read(tmp_path / "none.png", 1, 1)
    with pytest.raises(ScasegError, match="cannot be read: Is a directory"):
        CodeReader().read(tmp_path, 1, 1)


def test_opencv_keeps_its_threads_afterwards():
    before = cv2.getNumThreads()
    with one_thread_a_call():
        assert cv2.getNumThreads() == 1
    assert cv2.getNumThreads() == before


def test_what_the_decoder_prints_does_not_stand_among_our_lines(tmp_path, capfd, monkeypatch):
    """Its stream of pixels ends early, with right checksums: libpng prints a line, and the error has the name."""
    monkeypatch.setattr(segment_png, "kornia", None)  # it prints nothing
    content = png(Image.fromarray(COLOURS))
    place = content.index(b"IDAT")
    pixels = zlib.compress(zlib.decompress(content[place + 4 : -16])[:9])
    chunk = b"IDAT" + pixels
    short = content[: place - 4] + struct.pack(">I", len(pixels)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    with silent_decoder():
        refused(tmp_path, short + content[-12:], "is damaged: its pixels cannot be decoded")
        print("ours", file=sys.stderr)
        os.write(1, b"data\n")
    assert tuple(capfd.readouterr()) == ("data\n", "ours\n")
    refused(tmp_path, short + content[-12:], "is damaged: its pixels cannot be decoded")
    assert "libpng" in capfd.readouterr().err


def test_a_closed_stderr_is_nothing_to_silence():
    code = "import os; os.close(2); from scaseg_cli.data.segment_png import silent_decoder as s\nwith s(): print(1)"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout == b"1\n"
