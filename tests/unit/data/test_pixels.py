"""Reading of any image, or the reason why it cannot be read."""

import numpy as np
import pytest
from PIL import Image

from scaseg_cli.data.images import read_image
from scaseg_cli.errors import ScasegError


def upright(path):
    """Read an image as predict does."""
    return read_image(path, turned=True)


RED, BLUE = (200, 10, 10), (10, 10, 200)


def saved(tmp_path, image: Image.Image, name: str = "image.png", **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def two_pixels() -> Image.Image:
    """Make an image that is red on the left and blue on the right."""
    image = Image.new("RGB", (2, 1), RED)
    image.putpixel((1, 0), BLUE)
    return image


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [[RED, BLUE]]), (2, [[BLUE, RED]]), (3, [[BLUE, RED]]), (4, [[RED, BLUE]]),
        (5, [[RED], [BLUE]]), (6, [[RED], [BLUE]]), (7, [[BLUE], [RED]]), (8, [[BLUE], [RED]]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_photographs_are_rotated_by_their_exif_orientation(tmp_path, orientation, expected, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = upright(saved(tmp_path, two_pixels(), f"image.{suffix}", exif=exif))
    assert found.tolist() == [[list(pixel) for pixel in row] for row in expected]
    assert found.dtype == np.uint8


def test_a_rotated_jpeg_swaps_its_sides(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path, Image.new("RGB", (40, 10)), "image.jpg", exif=exif)
    assert upright(path).shape == (40, 10, 3)


def test_grey_becomes_three_equal_channels(tmp_path):
    assert upright(saved(tmp_path, Image.new("L", (2, 1), 77))).tolist() == [[[77] * 3] * 2]
    assert upright(saved(tmp_path, Image.new("1", (2, 1), 1))).tolist() == [[[255] * 3] * 2]


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path, suffix):
    values = np.array([[0, 128, 129, 257, 32_768, 65_534, 65_535]], np.uint16)
    found = upright(saved(tmp_path, Image.fromarray(values), f"image.{suffix}"))
    assert found[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255, 255]
    assert (found == found[..., :1]).all()


def test_sixteen_bit_colours_are_scaled(tmp_path):
    import cv2

    path = tmp_path / "image.png"
    assert cv2.imwrite(str(path), np.full((1, 2, 3), (256 * 10, 256 * 100, 65_535), np.uint16))
    assert upright(path).tolist() == [[[255, 100, 10]] * 2]


def test_wider_pixels_are_refused_with_the_reason(tmp_path):
    large = Image.fromarray(np.array([[0, 70_000]], np.int32))
    with pytest.raises(ScasegError, match="has 32-bit pixels from 0 to 70000"):
        upright(saved(tmp_path, large, "image.tiff"))
    real = Image.fromarray(np.array([[0.0, 1.5]], np.float32))
    with pytest.raises(ScasegError, match=r"image\.tiff has floating-point pixels"):
        upright(saved(tmp_path, real, "image.tiff"))


def test_a_cmyk_jpeg_keeps_its_colour(tmp_path):
    path = saved(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "image.jpg", quality=100)
    red, green, blue = upright(path)[4, 4].tolist()
    assert red > 240
    assert max(green, blue) < 15


def test_transparent_pixels_are_composited_on_white(tmp_path):
    half = Image.new("RGBA", (3, 1), (200, 10, 10, 255))
    half.putpixel((1, 0), (200, 10, 10, 0))
    half.putpixel((2, 0), (0, 0, 0, 51))
    assert upright(saved(tmp_path, half)).tolist() == [[[200, 10, 10], [255] * 3, [204] * 3]]
    assert upright(saved(tmp_path, half.convert("LA"), "grey.png"))[0, 1].tolist() == [255] * 3


def test_a_palette_gives_its_colours_and_its_transparent_one_is_white(tmp_path):
    image = two_pixels().quantize(2)
    assert upright(saved(tmp_path, image)).tolist() == [[list(RED), list(BLUE)]]
    place = image.getpixel((1, 0))
    assert upright(saved(tmp_path, image, transparency=place)).tolist() == [[list(RED), [255] * 3]]
    assert upright(saved(tmp_path, image, "image.gif", transparency=place))[0, 1].tolist() == [255] * 3


def test_one_pixel_is_an_image(tmp_path):
    assert upright(saved(tmp_path, Image.new("RGB", (1, 1), RED))).tolist() == [[list(RED)]]


def test_broken_files_are_named_with_the_reason(tmp_path):
    whole = saved(tmp_path, Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)), "a.jpg")
    cases = {
        "cut.jpg": (whole.read_bytes()[:-900], "cannot be read: .*truncated"),
        "text.jpg": (b"Dear diary", "cannot be read: it is not an image in a known format"),
        "empty.png": (b"", "cannot be read: it is not an image in a known format"),
    }
    for name, (content, says) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ScasegError, match=f"{name} {says}"):
            upright(tmp_path / name)
    with pytest.raises(ScasegError, match=r"gone\.png does not exist"):
        upright(tmp_path / "gone.png")
    with pytest.raises(ScasegError, match="is not a file"):
        upright(tmp_path)
