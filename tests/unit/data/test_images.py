import cv2
import numpy as np
import pytest
from panoptic_files import TinyImage, panoptic_json, striped, write_panoptic_set
from PIL import Image

from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.images import ids_to_rgb, read_differences, read_image, read_label, read_segments, rgb_to_ids
from scaseg_cli.data.records import ImageRecord
from scaseg_cli.errors import ScasegError

LARGEST = 256**3 - 1


@pytest.fixture
def one(tmp_path):
    """A set of one image with the stripes cat, grass, and its record."""
    panoptic_set = read_panoptic_set(tmp_path, write_panoptic_set(tmp_path, "val", [striped(5, 1, 100)]))
    return panoptic_set, panoptic_set.images[0]


def test_the_encoding_is_cocos():
    ids = np.array([[0, 1, 255], [256, 65536, LARGEST]])
    rgb = ids_to_rgb(ids)
    assert rgb.dtype == np.uint8
    assert rgb[1].tolist() == [[0, 1, 0], [0, 0, 1], [255, 255, 255]]
    assert rgb[0].tolist() == [[0, 0, 0], [1, 0, 0], [255, 0, 0]]
    back = rgb_to_ids(rgb)
    assert back.dtype == np.int32
    assert np.array_equal(back, ids)


def test_reads_the_ids_of_a_label(one):
    label = read_label(*one)
    assert label.dtype == np.int32
    assert np.array_equal(label, striped(5, 1, 100).label)
    assert (label[:, -1] == 0).all()


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "CMYK"])
def test_images_of_all_modes_become_rgb_that_may_be_written(tmp_path, mode):
    path = tmp_path / "image.tif"
    Image.new("RGB", (8, 6), (200, 200, 200)).convert(mode).save(path)
    image = read_image(path)
    assert image.shape == (6, 8, 3)
    assert image.dtype == np.uint8
    assert abs(int(image[0, 0, 0]) - 200) <= 1
    image[0, 0, 0] = 0


def test_exif_rotation_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.new("RGB", (8, 6)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").shape == (6, 8, 3)


@pytest.mark.parametrize(("suffix", "part"), [("jpg", 0.6), ("png", 0.6), ("png", 0.02), ("jpg", 0.0)])
def test_a_truncated_image_is_refused_by_name(tmp_path, suffix, part):
    path = tmp_path / f"noise.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(ScasegError, match=rf"noise\.{suffix} cannot be read") as caught:
        read_image(path)
    assert "download" in caught.value.hint


def test_a_damaged_png_is_refused(tmp_path):
    path = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[500:540] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(ScasegError, match=r"noise\.png cannot be read"):
        read_image(path)


def test_missing_files_are_refused_by_name(one):
    panoptic_set, record = one
    panoptic_set.image_path(record).unlink()
    panoptic_set.label_path(record).unlink()
    with pytest.raises(ScasegError, match=r"the image .*val/000000000005\.jpg does not exist"):
        read_image(panoptic_set.image_path(record), record)
    with pytest.raises(ScasegError, match=r"the panoptic PNG .*000000000005\.png does not exist"):
        read_label(panoptic_set, record)


def test_image_and_label_must_have_the_size_of_the_record(one):
    panoptic_set, record = one
    for path in (panoptic_set.image_path(record), panoptic_set.label_path(record)):
        Image.new("RGB", (9, 6)).save(path)
    text = r"is 9 x 6 pixels, but the annotation file says 8 x 6 for image 5"
    with pytest.raises(ScasegError, match=r"000000000005\.jpg " + text):
        read_image(panoptic_set.image_path(record), record)
    with pytest.raises(ScasegError, match=r"000000000005\.png " + text):
        read_label(panoptic_set, record)


@pytest.mark.parametrize("bits", [8, 16])
def test_of_one_channel_the_value_is_the_id(tmp_path, bits):
    label = np.array([[0, 3, 250], [250, 250, 3]])
    image = TinyImage(5, label, {3: 1, 250: 100})
    panoptic_set = read_panoptic_set(tmp_path, write_panoptic_set(tmp_path, "val", [image]))
    path = panoptic_set.label_path(panoptic_set.images[0])
    Image.fromarray(label.astype(np.uint8 if bits == 8 else np.uint16)).save(path)
    assert read_label(panoptic_set, panoptic_set.images[0]).tolist() == label.tolist()


def test_a_label_whose_pixels_have_no_number_is_refused(one):
    panoptic_set, record = one
    Image.new("LA", (8, 6)).save(panoptic_set.label_path(record))
    with pytest.raises(ScasegError, match="has pixels of mode LA, not RGB"):
        read_label(panoptic_set, record)


def test_a_label_of_16_bits_per_channel_is_refused(one):
    """Pillow reads it as 8 bits, and the ids look right; OpenCV reads it as 8 bits too."""
    panoptic_set, record = one
    path = panoptic_set.label_path(record)
    pixels = np.array(Image.open(path).convert("RGB")).astype(np.uint16) * 257
    assert cv2.imwrite(str(path), pixels[..., ::-1])
    assert np.array_equal(np.array(Image.open(path)), pixels >> 8)
    with pytest.raises(ScasegError, match=r"the panoptic PNG \S+ has 16 bits per channel, not 8") as caught:
        read_label(panoptic_set, record)
    assert caught.value.hint == "Encode the segment id in RGB as R + 256 G + 65536 B."


def test_a_palette_label_is_read_by_its_colours(one):
    panoptic_set, record = one
    path = panoptic_set.label_path(record)
    Image.open(path).quantize(8).save(path)
    assert Image.open(path).mode == "P"
    assert np.array_equal(read_label(panoptic_set, record), striped(5, 1, 100).label)


def test_a_listed_segment_without_pixels_takes_no_part_and_pixels_of_no_listed_one_are_void(tmp_path):
    image = TinyImage(5, np.array([[11, 11, 0], [12, 12, 0]]), {11: 1, 12: 3})
    content = panoptic_json([image])
    content["annotations"][0]["segments_info"][0]["id"] = 13
    panoptic_set = read_panoptic_set(tmp_path, write_panoptic_set(tmp_path, "val", [image], content=content))
    record, label, num_empty, has_unnamed = read_segments(panoptic_set, panoptic_set.images[0])
    assert (num_empty, has_unnamed) == (1, True)
    assert label.tolist() == read_label(panoptic_set, panoptic_set.images[0]).tolist() == [[0, 0, 0], [12, 12, 0]]
    assert [segment.id for segment in record.segments] == [12]
    assert read_differences(panoptic_set, panoptic_set.images[0]) == ({13}, {11})


def test_one_lonely_pixel_of_an_unnamed_segment_is_found_anywhere(tmp_path):
    for place in (0, 5, 11):
        label = np.full((3, 4), 70_000)
        label.flat[place] = 9
        image = TinyImage(5, label, {70_000: 1})
        panoptic_set = read_panoptic_set(tmp_path, write_panoptic_set(tmp_path, "val", [image]))
        assert read_differences(panoptic_set, panoptic_set.images[0]) == (set(), {9})
        assert read_label(panoptic_set, panoptic_set.images[0]).flat[place] == 0


def test_a_label_of_void_alone_is_fine_without_segments(tmp_path):
    image = TinyImage(5, np.zeros((3, 4), dtype=int), {})
    panoptic_set = read_panoptic_set(tmp_path, write_panoptic_set(tmp_path, "val", [image]))
    assert not read_label(panoptic_set, panoptic_set.images[0]).any()


def photograph(path, orientation: int, size=(8, 6)) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size).save(path, exif=exif)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_label_that_fits_the_turned_image_names_the_key(tmp_path, suffix):
    record = ImageRecord(5, f"a.{suffix}", "5.png", 6, 8, ())
    path = tmp_path / record.file_name
    photograph(path, 6)
    with pytest.raises(ScasegError, match="is 8 x 6 pixels, but the annotation file says 6 x 8") as caught:
        read_image(path, record)
    assert "EXIF" in caught.value.hint
    assert "data.exif to turn" in caught.value.hint
    assert read_image(path, record, turned=True).shape == (8, 6, 3)
    upright = ImageRecord(5, record.file_name, "5.png", 8, 6, ())
    assert read_image(path, upright).shape == (6, 8, 3)
    with pytest.raises(ScasegError) as caught:
        read_image(path, upright, turned=True)
    assert "data.exif to ignore" in caught.value.hint


def test_training_evaluation_and_predict_see_the_same_16_bits(tmp_path):
    values = np.array([[0, 129, 32_768, 65_535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    for turned in (False, True):
        assert read_image(tmp_path / "a.png", turned=turned)[0, :, 0].tolist() == [0, 1, 128, 255]


def test_a_tiff_is_always_turned(tmp_path):
    photograph(tmp_path / "a.tif", 6)
    assert read_image(tmp_path / "a.tif").shape == read_image(tmp_path / "a.tif", turned=True).shape == (8, 6, 3)
    read_image(tmp_path / "a.tif", ImageRecord(5, "a.tif", "5.png", 6, 8, ()))
