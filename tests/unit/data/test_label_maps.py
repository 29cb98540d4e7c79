"""One label map: its values, its segments and its possible mistakes."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from semantic_files import columns

from scaseg_cli.data.images import read_label
from scaseg_cli.data.label_maps import count_values, read_map, segments_of
from scaseg_cli.data.records import Category, ImageRecord, LabelledSet
from scaseg_cli.errors import ScasegError

CATEGORIES = (Category(0, "cat", True), Category(2, "grass", False), Category(300, "sky", False))


def one(folder: Path, values: np.ndarray, map_values=(0, 2, 300), ignored=()) -> tuple[LabelledSet, ImageRecord]:
    """A set of one label map, and its record as the split makes it."""
    Image.fromarray(values).save(folder / "a.png")
    labelled = LabelledSet(folder, folder, CATEGORIES, (), map_values, ignored)
    size = values.shape[::-1]
    segments = segments_of(count_values(values), labelled, folder / "a.png")
    return labelled, ImageRecord(1, "a.jpg", "a.png", *size, segments)


def test_counts_are_those_of_all_pixels():
    values = np.random.default_rng(0).integers(0, 4, (50, 70)).astype(np.uint16) * 5000
    found, counts = np.unique(values, return_counts=True)
    assert count_values(values) == dict(zip(found.tolist(), counts.tolist(), strict=True))
    assert count_values(np.full((1, 1), 9, np.uint8)) == {9: 1}


@pytest.mark.parametrize(("bits", "sky"), [(8, 255), (16, 300)])
def test_reads_segment_ids_of_8_and_16_bits(tmp_path, bits, sky):
    labelled, record = one(tmp_path, columns(0, 0, 2, 255, sky, bits=bits))
    label = read_label(labelled, record)
    assert label.dtype == np.int32
    assert label.tolist() == [[1, 1, 3, 0, 0 if bits == 8 else 301]] * 4
    ids = [(segment.id, segment.category_id, segment.area, segment.iscrowd) for segment in record.segments]
    assert ids == [(1, 0, 8, 0), (3, 2, 4, 0), *([] if bits == 8 else [(301, 300, 4, 0)])]


def test_of_a_palette_image_the_indices_are_read(tmp_path):
    labelled, record = one(tmp_path, columns(0, 2, 255))
    image = Image.open(tmp_path / "a.png").copy()
    image.putpalette([200 - number % 200 for number in range(768)])
    image.save(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == "P"
    assert read_label(labelled, record).tolist() == [[1, 3, 0]] * 4


def test_other_values_are_mapped_to_ids_by_a_table(tmp_path):
    labelled, record = one(tmp_path, columns(7, 90, 255), map_values=(90, 7, 4))
    assert read_label(labelled, record).tolist() == [[3, 1, 0]] * 4
    assert [segment.category_id for segment in record.segments] == [0, 2]


def test_a_label_map_of_ignored_pixels_alone_has_no_segment(tmp_path):
    labelled, record = one(tmp_path, columns(255, 255))
    assert record.segments == ()
    assert not read_label(labelled, record).any()


def test_values_that_are_no_class_are_named_with_file_and_count(tmp_path):
    with pytest.raises(ScasegError) as caught:
        one(tmp_path, columns(0, 1, 1, 171, 2))
    path = tmp_path / "a.png"
    assert caught.value.message == (
        f"the label map {path} contains the values 1 (8 pixels), 171 (4 pixels), which are not among the 3 classes"
    )
    assert "data.categories" in caught.value.hint
    assert "set data.ignored to [1, 171]" in caught.value.hint
    with pytest.raises(ScasegError, match=r"5 \(4 pixels\), 6 \(4 pixels\), 7 \(4 pixels\) and 2 more, which"):
        one(tmp_path, columns(3, 4, 5, 6, 7, 8, 9))


@pytest.mark.parametrize(("mode", "colour"), [("RGB", (2, 2, 0)), ("RGBA", (2, 2, 2, 0)), ("LA", (2, 9))])
def test_a_label_map_in_colours_is_refused_and_names_the_key(tmp_path, mode, colour):
    labelled, record = one(tmp_path, columns(0, 2))
    Image.new(mode, (2, 4), colour).save(tmp_path / "a.png")
    with pytest.raises(
        ScasegError, match=rf"the label map .*a\.png has pixels of mode {mode}, not one class"
    ) as caught:
        read_label(labelled, record)
    assert "data.colours" in caught.value.hint


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_equal_channels_are_one(tmp_path, mode):
    labelled, record = one(tmp_path, columns(0, 2, 255))
    Image.fromarray(columns(0, 2, 255)).convert(mode).save(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == mode
    assert read_label(labelled, record).tolist() == [[1, 3, 0]] * 4


@pytest.mark.parametrize("suffix", ["tif", "bmp", "png"])
def test_one_bit_is_a_class_id(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(columns(0, 255, 255)).convert("1").save(path)
    assert read_map(path, (3, 4), "it").tolist() == [[0, 1, 1]] * 4


@pytest.mark.parametrize(
    ("bits", "row", "values"), [(1, 0b01000000, [0, 1]), (2, 0b01110000, [1, 3]), (4, 0x3B, [3, 11])]
)
def test_grey_of_few_bits_is_not_spread_over_all_values(tmp_path, bits, row, values):
    """Optimizers of PNGs write such files; Pillow decodes 2 and 4 bits to 0..255."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, bits, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes([0, row])))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b""))
    assert read_map(tmp_path / "a.png", (2, 1), "it").tolist() == [values]


def test_values_of_32_bits_are_refused_not_wrapped(tmp_path):
    Image.fromarray(np.array([[1, 65_537]], np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(ScasegError, match="has values from 1 to 65537"):
        read_map(tmp_path / "a.tif", (2, 1), "it")


def test_16_bits_in_three_channels_are_refused_since_pillow_keeps_8(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 2, 3), 300, np.uint16))
    with pytest.raises(ScasegError, match="has pixels of mode RGB"):
        read_map(tmp_path / "a.png", (2, 4), "it")


def test_a_jpeg_is_no_label_map(tmp_path):
    Image.fromarray(columns(0, 2)).save(tmp_path / "a.png", format="JPEG")
    with pytest.raises(ScasegError, match="is a JPEG, whose compression changes class ids"):
        read_map(tmp_path / "a.png", (2, 4), "it")


def test_ignored_values_are_void_and_the_last_of_16_bits_always(tmp_path):
    labelled, record = one(tmp_path, columns(0, 2, 300, 7, 255, 65_535, bits=16), ignored=(7,))
    assert read_label(labelled, record).tolist() == [[1, 3, 301, 0, 0, 0]] * 4
    assert [(segment.category_id, segment.area) for segment in record.segments] == [(0, 4), (2, 4), (300, 4)]


def test_a_label_map_of_another_size_than_its_image_is_refused(tmp_path):
    labelled, record = one(tmp_path, columns(0, 2))
    Image.fromarray(columns(0, 2, 2, height=5)).save(tmp_path / "a.png")
    with pytest.raises(ScasegError, match=r"a\.png is 3 x 5 pixels, but its image a\.jpg is 2 x 4\n"):
        read_label(labelled, record)


def test_a_label_map_that_changed_since_the_split_is_refused(tmp_path):
    labelled, record = one(tmp_path, columns(0, 2, 2))
    Image.fromarray(columns(0, 0, 2)).save(tmp_path / "a.png")  # the same classes, other pixels
    with pytest.raises(ScasegError, match="has changed since the data was split") as caught:
        read_label(labelled, record)
    assert "scaseg split-dataset" in caught.value.hint


def test_a_damaged_and_a_missing_label_map_are_refused(tmp_path):
    labelled, record = one(tmp_path, np.random.default_rng(0).choice([0, 2], (64, 64)).astype(np.uint8))
    path = tmp_path / "a.png"
    path.write_bytes(path.read_bytes()[:120])
    with pytest.raises(ScasegError, match=r"the label map .*a\.png cannot be read") as caught:
        read_label(labelled, record)
    assert "truncated" in caught.value.hint
    path.unlink()
    with pytest.raises(ScasegError, match=r"the label map .*a\.png does not exist"):
        read_label(labelled, record)


def test_what_is_read_may_be_written_to(tmp_path):
    one(tmp_path, columns(0, 2))
    read_map(tmp_path / "a.png", (2, 4), "it")[0, 0] = 1
