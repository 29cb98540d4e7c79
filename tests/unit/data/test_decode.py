"""Headers that announce more than there is are refused before memory is taken; no honest image is."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from panoptic_files import striped, write_panoptic_set
from PIL import Image

from scaseg_cli.data import decode
from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.decode import check_announced, open_image, opened
from scaseg_cli.data.images import read_image, read_label
from scaseg_cli.data.label_maps import read_map
from scaseg_cli.data.segment_png import CodeReader
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import read_json

if TYPE_CHECKING:
    from pathlib import Path

HUGE = (40_000, 30_000)


def announce(path: Path, width: int, height: int, mode: str = "RGB") -> Path:
    """A small PNG whose header announces another size; its data are those of 8 x 6 pixels."""
    Image.new(mode, (8, 6)).save(path, "PNG")
    content = path.read_bytes()
    header = b"IHDR" + struct.pack(">II", width, height) + content[24:29]
    path.write_bytes(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])
    return path


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where the pixels of a PNG are decoded."""
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda _: pytest.fail("the pixels were decoded"))
    monkeypatch.setattr("cv2.imdecode", lambda *_: pytest.fail("the pixels were decoded"))


@pytest.mark.usefixtures("no_decoding")
def test_another_size_than_announced_elsewhere_is_refused_before_decoding(tmp_path: Path) -> None:
    labelled = read_panoptic_set(tmp_path, write_panoptic_set(tmp_path, "val", [striped(5, 1, 100)]))
    record = labelled.images[0]
    said = "is 80 x 60 pixels, but the annotation file says 8 x 6"
    announce(labelled.label_path(record), 80, 60)
    with pytest.raises(ScasegError, match=said):
        read_label(labelled, record)
    announce(labelled.image_path(record), 80, 60)
    with pytest.raises(ScasegError, match=said):
        read_image(labelled.image_path(record), record)
    with pytest.raises(ScasegError, match="is 80 x 60 pixels, but its image is 8 x 6"):
        read_map(announce(tmp_path / "map.png", 80, 60, "L"), (8, 6), "its image")
    with pytest.raises(ScasegError, match="is 80 x 60 pixels, not 8 x 6"):
        CodeReader().read(announce(tmp_path / "map.png", 80, 60), 8, 6)


@pytest.mark.usefixtures("no_decoding")
def test_more_pixels_than_the_file_can_hold_are_refused_before_decoding(tmp_path: Path) -> None:
    path = announce(tmp_path / "huge.png", *HUGE)
    said = rf"huge\.png announces 40000 x 30000 pixels, more than {path.stat().st_size} bytes can hold"
    with pytest.raises(ScasegError, match=said):
        read_image(path, turned=True)
    with pytest.raises(ScasegError, match=said):
        read_image(path)
    with pytest.raises(ScasegError, match=said):
        CodeReader().read(path, *HUGE)  # an annotation file that announces the same
    with pytest.raises(ScasegError, match=said):
        read_map(announce(tmp_path / "huge.png", *HUGE, "L"), HUGE, "its image")


def test_the_limit_is_in_proportion_to_the_file() -> None:
    check_announced("any", (16_384, 10_000), 100)  # type: ignore[arg-type]
    check_announced("any", HUGE, HUGE[0] * HUGE[1] // 1000)  # type: ignore[arg-type]
    with pytest.raises(ScasegError):
        check_announced("any", HUGE, HUGE[0] * HUGE[1] // 1200)  # type: ignore[arg-type]


def test_the_densest_png_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One colour everywhere: no PNG of 8 bits holds more pixels for its bytes."""
    monkeypatch.setattr(decode, "FREE_PIXELS", 0)
    Image.new("L", (3000, 3000), 7).save(tmp_path / "one.png", compress_level=9)
    with opened(tmp_path / "one.png", "label map") as image:
        assert np.array(image).mean() == 7


def test_pillows_own_limit_does_not_apply_and_stays_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (30, 30)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    assert read_image(tmp_path / "a.png", turned=True).shape == (30, 30, 3)
    assert read_image(tmp_path / "a.png").shape == (30, 30, 3)
    with open_image(tmp_path / "a.png") as image:
        assert image.size == (30, 30)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(tmp_path / "a.png")


def test_any_error_of_a_reader_names_the_file(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    for raised in (struct.error("unpack requires 4 bytes"), IndexError("x"), KeyError("y"), TypeError(), ValueError()):
        with (
            pytest.raises(ScasegError, match=r"the image .*a\.png cannot be read: \S"),
            opened(tmp_path / "a.png", "image"),
        ):
            raise raised
    with pytest.raises(MemoryError), opened(tmp_path / "a.png", "image"):
        raise MemoryError


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    (tmp_path / "loop.png").symlink_to("loop.png")
    for name in ("x" * 300, "a\0b", "loop.png"):
        with pytest.raises(ScasegError, match="does not exist"), opened(tmp_path / name, "image"):
            pass


def test_a_pointer_of_git_lfs_is_named_as_one(tmp_path: Path) -> None:
    """What a clone without Git LFS has in place of images and annotation files."""
    path = tmp_path / "a.png"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    for read in (lambda: read_image(path), lambda: read_json(path, "the annotation file")):
        with pytest.raises(ScasegError, match=r"a\.png is a pointer of Git LFS, not the file itself") as caught:
            read()
        assert caught.value.hint == "Run `git lfs pull` where it was cloned."
    with pytest.raises(ScasegError, match=r"the annotation file .* is a folder"):
        read_json(tmp_path, "the annotation file")
