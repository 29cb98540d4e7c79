"""The Python entrance without a run: what importing it loads, what it refuses, and scores of files."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import contents
from PIL import Image
from prediction_files import change_json, strips, write_pairs

import scaseg_cli
from scaseg_cli import api
from scaseg_cli.api.images import pixels_of
from scaseg_cli.api.segmentation import _names
from scaseg_cli.version import __version__

CAT, DOG, COW, GRASS = 1, 3, 7, 100


def test_importing_the_package_loads_neither_torch_nor_numpy() -> None:
    program = """
import sys, scaseg_cli
assert scaseg_cli.__version__ and scaseg_cli.ScasegError and "load" in dir(scaseg_cli)
loaded = {"torch", "numpy", "PIL", "rich", "pydantic"} & set(sys.modules)
assert not loaded, loaded
scaseg_cli.score  # the score needs no network
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_exported_name_is_there() -> None:
    assert {name: getattr(scaseg_cli, name, None) for name in scaseg_cli.__all__}.keys() <= set(dir(scaseg_cli))
    assert all(getattr(scaseg_cli, name) is not None for name in scaseg_cli.__all__)
    assert scaseg_cli.load is api.load
    assert scaseg_cli.__version__ == __version__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'scaseg_cli' has no attribute 'laod'"):
        scaseg_cli.laod  # noqa: B018


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A cat found with IoU 0.8 and one missed; a cow found, grass called dog."""
    write_pairs(
        tmp_path,
        [
            strips("1111122222", {1: CAT, 2: CAT}, "1111......", {1: CAT}),
            strips("11223", {1: COW, 2: GRASS, 3: (DOG,)}, "55663", {5: COW, 6: DOG, 3: DOG}),
        ],
    )
    return tmp_path


def test_the_score_has_groups_classes_and_notes(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = contents(files)
    found = scaseg_cli.score(files / "predictions", str(files / "labels.json"), unseen=["cow", "grass"])
    assert contents(files) == before
    assert capfd.readouterr() == ("", "")
    assert found.seen.pq == pytest.approx(0.4 / 1.5, abs=1e-9)
    assert found.unseen == api.GroupScore(0.5, 0.5, 0.5)
    assert found.harmonic.pq == pytest.approx(2 * found.seen.pq * 0.5 / (found.seen.pq + 0.5), abs=1e-12)
    assert found.things.pq == pytest.approx((0.8 / 1.5 + 1) / 3, abs=1e-9)
    assert (found.stuff.pq, found.all.pq) == (0, pytest.approx((0.8 / 1.5 + 1) / 4, abs=1e-9))
    assert [(c.name, c.seen, c.isthing, c.tp, c.fp, c.fn) for c in found.classes] == [
        ("cat", True, True, 1, 0, 1),
        ("dog", True, True, 0, 1, 0),
        ("cow", False, True, 1, 0, 0),
        ("grass", False, False, 0, 0, 1),
    ]
    assert all(type(c.tp) is int and type(c.pq) is float and type(c.seen) is bool for c in found.classes)
    assert found.notes == (f"2 images. Predictions: {files / 'predictions.json'}.",)


def test_without_unseen_classes_all_count_as_seen(files: Path) -> None:
    (files / "labels").rename(files / "truth")
    found = scaseg_cli.score(files / "predictions", files / "labels.json", files / "truth")
    assert found.seen == found.all
    assert math.isnan(found.unseen.pq)
    assert math.isnan(found.harmonic.pq)


def test_what_is_wrong_with_the_files_is_an_error_of_the_users(files: Path) -> None:
    (files / "predictions" / "2.png").unlink()
    with pytest.raises(scaseg_cli.ScasegError, match=r"image 2 \(2.jpg\)"):
        scaseg_cli.score(files / "predictions", files / "labels.json")
    with pytest.raises(scaseg_cli.ScasegError, match="neither a known split"):
        scaseg_cli.score(files / "predictions", files / "labels.json", unseen="coco-zzz")


def test_choices_about_the_files(files: Path) -> None:
    (files / "predictions.json").rename(files / "elsewhere.json")
    (files / "predictions" / "2.png").unlink()
    change_json(files / "elsewhere.json", lambda content: content["annotations"].pop())
    found = scaseg_cli.score(
        files / "predictions", files / "labels.json", predictions_json=files / "elsewhere.json", only_predicted=True
    )
    assert found.all.pq == pytest.approx(0.8 / 1.5, abs=1e-9)
    found = scaseg_cli.score(
        files / "predictions",
        files / "labels.json",
        predictions_json=files / "elsewhere.json",
        only_predicted=True,
        means="all",
    )
    assert found.all.pq == pytest.approx(0.8 / 1.5 / 4, abs=1e-9)
    with pytest.raises(ValueError, match="means is 'present' or 'all', not 'some'"):
        scaseg_cli.score(files / "predictions", files / "labels.json", means="some")  # type: ignore[arg-type]


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """Label maps of one image: three of four cat pixels and both cow pixels are found, two are unlabelled."""
    for name, row in (("labels", [1, 1, 1, 1, 3, 3, 255, 0]), ("predictions", [1, 1, 1, 3, 3, 3, 1, 1])):
        (tmp_path / name).mkdir()
        Image.fromarray(np.array([row], np.uint8)).save(tmp_path / name / "a.png")
    (tmp_path / "classes.json").write_text('[{"id": 1, "name": "cat"}, {"id": 3, "name": "cow"}]')
    return tmp_path


def test_label_maps_have_a_score_too(maps: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = contents(maps)
    found = scaseg_cli.score_maps(
        str(maps / "predictions"), maps / "labels", maps / "classes.json", ["cow"], ignored=[0]
    )
    assert contents(maps) == before
    assert capfd.readouterr() == ("", "")
    assert found.seen == api.SemanticGroupScore(3 / 4, 3 / 4, 3 / 4)
    assert found.unseen == api.SemanticGroupScore(2 / 3, 1, 1)
    assert found.harmonic.iou == pytest.approx(2 * (3 / 4) * (2 / 3) / (3 / 4 + 2 / 3), abs=1e-15)
    assert found.all.pixel_acc == 5 / 6
    assert found.classes == (
        api.SemanticClassScore("cat", True, 3 / 4, 3 / 4, 3, 4, 3),
        api.SemanticClassScore("cow", False, 2 / 3, 1, 2, 2, 3),
    )
    assert all(type(c.right) is int and type(c.iou) is float and type(c.seen) is bool for c in found.classes)
    assert found.notes == (f"1 images. Predictions: {maps / 'predictions'}.",)


def test_label_maps_are_scored_against_panoptic_annotations(files: Path) -> None:
    with pytest.raises(scaseg_cli.ScasegError, match="has panoptic predictions"):
        scaseg_cli.score_maps(files / "predictions", annotations=files / "labels.json")
    (files / "predictions.json").unlink()
    for name, row in (("1", [CAT] * 10), ("2", [COW, COW, GRASS, GRASS, DOG])):
        Image.fromarray(np.array([row], np.uint8)).save(files / "predictions" / f"{name}.png")
    found = scaseg_cli.score_maps(files / "predictions", annotations=files / "labels.json", unseen=["cow"])
    assert [found.seen.iou, found.unseen.iou] == [1, 1]
    with pytest.raises(scaseg_cli.ScasegError, match="label maps, which have no panoptic quality") as caught:
        scaseg_cli.score(files / "predictions", files / "labels.json")
    assert "score_maps" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "arguments", [{}, {"labels": "labels"}, {"categories": "voc"}, {"annotations": "a.json", "categories": "voc"}]
)
def test_label_maps_need_their_classes(arguments: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="categories"):
        scaseg_cli.score_maps("predictions", **arguments)  # type: ignore[arg-type]


RGB = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)


def test_every_kind_of_image_becomes_the_same_pixels(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "image.png")
    for image in (
        RGB,
        Image.fromarray(RGB),
        tmp_path / "image.png",
        str(tmp_path / "image.png"),
        np.asfortranarray(RGB),
    ):
        pixels = pixels_of(image, "the image")
        assert pixels.dtype == np.uint8
        assert pixels.flags.c_contiguous
        assert pixels.tolist() == RGB.tolist()
    grey = RGB[..., 0]
    assert pixels_of(grey, "the image").tolist() == np.stack([grey] * 3, -1).tolist()
    assert pixels_of(Image.fromarray(grey), "the image").tolist() == np.stack([grey] * 3, -1).tolist()


def test_an_array_is_copied() -> None:
    frame = RGB.copy()
    pixels = pixels_of(frame, "the image")
    frame[:] = 0
    assert pixels.tolist() == RGB.tolist()


def test_a_pillow_image_is_turned_as_its_file_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as image:
        assert pixels_of(image, "the image").shape == (7, 5, 3)


@pytest.mark.parametrize(
    ("image", "error", "says"),
    [
        (RGB / 255, ValueError, r"type float64, and must have uint8, 0\.\.255\. For values 0\.\.1"),
        (RGB.astype(np.int64), ValueError, "type int64"),
        (RGB > 3, ValueError, "type bool"),
        (RGB.transpose(2, 0, 1), ValueError, r"shape \[3, 5, 7\], and must have \[H, W, 3\]"),
        (RGB[None], ValueError, r"shape \[1, 5, 7, 3\]"),
        (RGB[..., :2], ValueError, r"shape \[5, 7, 2\]"),
        (RGB[:0], ValueError, r"has no pixels: its shape is \[0, 7, 3\]"),
        (Image.new("RGB", (0, 4)), ValueError, "no pixels: its size is 0 x 4"),
        (Image.new("F", (3, 4)), scaseg_cli.ScasegError, "the image has floating-point pixels"),
        ("gone.png", scaseg_cli.ScasegError, "gone.png does not exist"),
        (None, TypeError, r"images\[2\] is of type NoneType, and must be a uint8 array"),
        (3, TypeError, "is of type int"),
    ],
)
def test_what_is_no_image_is_refused(image: object, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        pixels_of(image, "images[2]")


@pytest.mark.parametrize(
    ("names", "stuff", "meant"),
    [
        (None, None, None),
        (["red ring", " blue  dots "], None, (("red ring", "blue dots"), ())),
        ("red ring, zebra; lawn", None, (("red ring", "zebra"), ("lawn",))),
        ("red ring; lawn", ["sky"], (("red ring",), ("lawn", "sky"))),
        (None, ("sky",), ((), ("sky",))),
        (["table, laid"], [], (("table, laid",), ())),
    ],
)
def test_names_come_as_a_list_or_as_the_text_of_classes(names: object, stuff: object, meant: object) -> None:
    assert _names(names, stuff) == meant  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "stuff", "error", "says"),
    [
        ([], None, scaseg_cli.ScasegError, "list of classes is empty"),
        ("", None, scaseg_cli.ScasegError, "names no class"),
        ("a;b;c", None, scaseg_cli.ScasegError, "has 2 semicolons"),
        ([3], None, TypeError, "a class name is a text, not 3"),
        (["a"], "sky", TypeError, "stuff is a list of names, not the text 'sky'"),
    ],
)
def test_what_is_no_name_is_refused(names: object, stuff: object, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        _names(names, stuff)  # type: ignore[arg-type]


def test_a_segments_mask_is_where_its_id_is() -> None:
    ids = np.array([[0, 1, 1], [2, 2, 1]], np.int32)
    found = api.Segment(1, "cat", 7, True, False, 0.5, (1, 0, 2, 2), 3, ids)
    assert found.mask.tolist() == [[False, True, True], [False, False, True]]
    assert found.mask.dtype == bool
    assert "_ids" not in repr(found)


def test_a_folder_without_a_recipe_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(scaseg_cli.ScasegError, match=r"is not a run folder: it has no recipe\.yaml"):
        scaseg_cli.load(tmp_path)
    with pytest.raises(scaseg_cli.ScasegError, match="is not a run folder: it does not exist"):
        scaseg_cli.load(str(tmp_path / "gone"))
    with pytest.raises(scaseg_cli.ScasegError, match="there is no setting 'inductve'"):
        scaseg_cli.load(tmp_path, setting="inductve")  # type: ignore[arg-type]
