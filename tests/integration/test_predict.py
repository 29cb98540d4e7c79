"""`scaseg predict` on a finished run: whatever image, whatever names, and nothing lost on the way."""

import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Outcome, scaseg
from PIL import Image
from tiny_runs import TinyRun
from warm_python import PYTHON

from scaseg_cli.data.images import rgb_to_ids
from scaseg_cli.prediction.written import Written
from scaseg_cli.shapes.world import CLASSES, UNSEEN

Call = Callable[..., Outcome]
THINGS = [item.name for item in CLASSES if item.isthing]
STUFF = [item.name for item in CLASSES if not item.isthing]
MADE_UP = ["zebra", "street lamp", "sourdough"]


@pytest.fixture
def predict(
    tiny_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Call:
    """Call `scaseg predict` in an empty folder, with the finished run."""
    monkeypatch.chdir(tmp_path)
    run = ("-r", str(tiny_run.folder / "tiny.yaml"), "-w", str(tiny_run.run))
    return lambda *arguments: scaseg(capfd, "predict", *run, *arguments)


@pytest.fixture
def images(tiny_run: TinyRun) -> str:
    return str(tiny_run.run / "data" / "validation")


def document(folder: str = "predictions") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(folder) / "predictions.json").read_text(encoding="utf-8"))
    return found


def files(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def ids_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return rgb_to_ids(np.array(image))


# What an installed package would pull in although no prediction uses it; together they took half of the start.
UNUSED = (
    *("matplotlib", "pandas", "sklearn", "sympy", "tensorboard", "transformers", "triton", "open_clip"),
    *("torch._dynamo", "torch._inductor", "torch.distributed.fsdp", "torch.distributed.optim", "scipy.optimize"),
    *("mmseg", "mmengine._strategy.fsdp.fsdp_utils", "scaseg_cli.base.train", "scaseg_cli.queries.collect"),
)


def test_predict_imports_nothing_that_it_does_not_use(tiny_run: TinyRun, images: str, tmp_path: Path) -> None:
    code = "import sys\nfrom scaseg_cli.cli.app import main\ncode = main(sys.argv[1:])\n"
    code += "print(*sys.modules, file=sys.stderr)\nsys.exit(code)"
    run = ("-r", str(tiny_run.folder / "tiny.yaml"), "-w", str(tiny_run.run), "-o", "found")
    command = [PYTHON, "-c", code, "predict", str(min(Path(images).iterdir())), *run]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.splitlines()[-1].split())
    assert {"torch", "mmdet", "scaseg_cli.base.segmentor"} <= loaded
    assert not loaded.intersection(UNUSED)


def test_every_image_gets_a_map_a_picture_and_its_segments(predict: Call, images: str) -> None:
    outcome = predict(images)
    assert outcome.code == 0
    assert "wrote predictions/predictions.json" in outcome.err
    found = document()
    assert len(found["images"]) == len(found["annotations"]) == 16
    assert found["info"]["setting"] == "transductive"
    seen = {item["name"]: item["seen"] for item in found["categories"]}
    assert {name for name in seen if not seen[name]} == set(UNSEEN)
    total = 0
    for image, annotation in zip(found["images"], found["annotations"], strict=True):
        assert image["id"] == annotation["image_id"] == int(Path(image["file_name"]).stem)
        ids = ids_of(Path("predictions") / annotation["file_name"])
        assert ids.shape == (image["height"], image["width"]) == (64, 64)
        segments = annotation["segments_info"]
        assert {item["id"] for item in segments} == set(np.unique(ids).tolist()) - {0}
        for item in segments:
            rows, columns = np.nonzero(ids == item["id"])
            assert item["area"] == len(rows)
            assert item["bbox"] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            assert 0 < item["score"] <= 1
            total += 1
        with Image.open(Path("predictions") / annotation["file_name"].replace(".png", "-overlay.png")) as overlay:
            assert overlay.size == (512, 512)
    assert total > 16


@pytest.mark.parametrize("setting", ["inductive", "transductive"])
def test_predictions_in_files_score_as_the_run_itself(
    predict: Call, images: str, tiny_run: TinyRun, capfd: pytest.CaptureFixture[str], setting: str
) -> None:
    assert predict(images, "--setting", setting).code == 0
    labels = tiny_run.run / "data" / "annotations" / "panoptic_validation.json"
    scored = scaseg(
        capfd, "evaluate", "--predictions", "predictions", "--annotations", str(labels), "--unseen", "shapes-zps",
        "--per-class", "--json",
    )  # fmt: skip
    assert scored.code == 0
    table, by_class = json.loads(scored.out)["tables"]
    rows = [row for row in tiny_run.report["tables"][0]["rows"] if row["setting"] == setting]
    expected = rows[-1]  # the base with its increment, or the best snapshot
    assert (expected["model"], expected["increment"]) in (("base", 1.0), ("best snapshot", 0.0))
    for key in ("spq", "upq", "hpq", "ssq", "usq", "hsq", "srq", "urq", "hrq"):
        assert table["rows"][0][key] == pytest.approx(expected[key], abs=1e-12)
    assert expected["spq"] > 0
    if setting == "transductive":
        theirs = json.loads((tiny_run.run / "evaluation" / "per-class.json").read_text())["rows"]
        assert [(row["class"], row["tp"], row["fp"], row["fn"]) for row in by_class["rows"]] == [
            (row["class"], row["tp"], row["fp"], row["fn"]) for row in theirs
        ]


@pytest.mark.parametrize("setting", ["inductive", "transductive"])
def test_the_order_of_the_names_changes_no_byte(predict: Call, images: str, setting: str) -> None:
    for folder, things, stuff in (
        ("one", [*THINGS, *MADE_UP], STUFF),
        ("two", [*MADE_UP[::-1], *THINGS[::-1]], [*STUFF[5:], *STUFF[:5]]),
    ):
        names = f"{', '.join(things)}; {', '.join(stuff)}"
        assert predict(images, "--classes", names, "-o", folder, "--setting", setting).code == 0
    assert files("one") == files("two")


def test_all_of_the_runs_own_names_are_the_runs_classes(predict: Call, images: str) -> None:
    names = f"{', '.join(THINGS)}; {', '.join(STUFF)}"
    assert predict(images, "-o", "own").code == predict(images, "--classes", names, "-o", "named").code == 0
    assert files("own") == files("named")


def test_made_up_names_leave_what_they_do_not_win(predict: Call, images: str) -> None:
    names = f"{', '.join([*THINGS, *MADE_UP])}; {', '.join(STUFF)}"
    assert predict(images, "-o", "own").code == predict(images, "--classes", names, "-o", "more").code == 0
    own, more = document("own"), document("more")
    numbers = {item["name"]: item["id"] for item in more["categories"]}
    assert {item["name"]: item["id"] for item in own["categories"]} == {
        name: number for name, number in numbers.items() if name not in MADE_UP
    }
    same = compared = 0
    for before, after in zip(own["annotations"], more["annotations"], strict=True):
        classes = []
        for folder, annotation in (("own", before), ("more", after)):
            ids = ids_of(Path(folder) / annotation["file_name"])
            of_id = np.zeros(ids.max() + 1, np.int64)
            for item in annotation["segments_info"]:
                of_id[item["id"]] = item["category_id"]
            classes.append(of_id[ids])
        real = ~np.isin(classes[1], [numbers[name] for name in MADE_UP])
        compared += int(real.sum())
        same += int((classes[0] == classes[1])[real].sum())
    assert compared > 64 * 64
    assert same / compared > 0.9


def test_a_higher_threshold_finds_less(predict: Call, images: str) -> None:
    found = []
    for name, words in (("all", ()), ("sure", ("--object-threshold", "0.2"))):
        assert predict(images, "-o", name, *words).code == 0
        segments = [item for image in document(name)["annotations"] for item in image["segments_info"]]
        found.append([item["score"] for item in segments])
    assert min(found[0]) < 0.2 <= min(found[1])
    assert len(found[1]) < len(found[0])


def test_an_increment_of_either_setting_finds_more_unseen_pixels(predict: Call, images: str) -> None:
    pixels = []
    for increment in ("-30", "0", "30"):
        assert predict(images, "-o", f"at{increment}", "--increment", increment).code == 0
        found = document(f"at{increment}")
        unseen = {item["id"] for item in found["categories"] if not item["seen"]}
        segments = [item for annotation in found["annotations"] for item in annotation["segments_info"]]
        pixels.append(sum(item["area"] for item in segments if item["category_id"] in unseen))
        assert found["info"]["increment"] == float(increment)
    assert pixels[0] == 0
    assert pixels[0] <= pixels[1] < pixels[2]


def test_json_alone_goes_to_stdout_and_is_the_file(predict: Call, images: str) -> None:
    outcome = predict(images, "--json", "--batch-size", "3")
    assert json.loads(outcome.out) == document()


def save_odd_images(folder: Path) -> list[str]:
    """One image of each kind that people have; returns their names."""
    rng = np.random.default_rng(0)
    scene = Image.fromarray(rng.integers(0, 255, (30, 50, 3), np.uint8)).resize((200, 120), Image.Resampling.BICUBIC)
    turned = Image.Exif()
    turned[0x0112] = 6
    folder.mkdir()
    scene.save(folder / "turned.jpg", exif=turned)
    scene.convert("L").save(folder / "grey.png")
    Image.fromarray(np.asarray(scene.convert("L"), np.uint16) * 257).save(folder / "sixteen.png")
    scene.convert("CMYK").save(folder / "cmyk.jpg")
    scene.quantize(16).save(folder / "palette.png", transparency=3)
    scene.convert("RGBA").save(folder / "alpha.png")
    Image.new("RGB", (1, 1), (200, 10, 10)).save(folder / "one.png")
    Image.new("RGB", (900, 3), (10, 200, 10)).save(folder / "thin.png")
    return sorted(path.name for path in folder.iterdir())


def test_any_kind_of_image_works(predict: Call) -> None:
    names = save_odd_images(Path("odd"))
    outcome = predict("odd")
    assert outcome.code == 0
    sizes = {Path(image["file_name"]).name: (image["width"], image["height"]) for image in document()["images"]}
    assert sorted(sizes) == names
    assert (sizes["turned.jpg"], sizes["one.png"], sizes["thin.png"]) == ((120, 200), (1, 1), (900, 3))
    assert {sizes[name] for name in names if name not in ("turned.jpg", "one.png", "thin.png")} == {(200, 120)}
    grey, sixteen = (ids_of(Path("predictions") / name) for name in ("grey.png", "sixteen.png"))
    assert (grey == sixteen).all()


def test_an_image_of_24_megapixels_needs_little_more_memory_than_its_own(predict: Call) -> None:
    rng = np.random.default_rng(0)
    scene = Image.fromarray(rng.integers(0, 255, (20, 30, 3), np.uint8)).resize((6000, 4000), Image.Resampling.BICUBIC)
    scene.save("large.jpg")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert predict("large.jpg").code == 0
    assert ids_of(Path("predictions/large.png")).shape == (4000, 6000)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024  # MiB
    assert grown < 1600  # 16 masks of its size alone would have 1465


def test_a_broken_image_is_named_and_the_others_are_written(predict: Call, images: str) -> None:
    (Path("broken.jpg")).write_bytes(b"\xff\xd8 no more")
    outcome = predict("broken.jpg", images, "gone.png")
    assert outcome.code == 2
    for part in (
        "2 of 18 images cannot be read",
        "broken.jpg cannot be read: it is not an image",
        "gone.png does not exist",
    ):
        assert part in outcome.err
    assert len(document()["annotations"]) == 16
    assert len(list(Path("predictions").glob("*-overlay.png"))) == 16


def test_a_missing_image_is_named_before_a_model_is_loaded(predict: Call, images: str) -> None:
    outcome = predict(f"{images}/000002000001.png", "gone.png")
    assert outcome.code == 2
    said = outcome.err
    assert said.index("skipped: the image gone.png does not exist") < said.index("transductive: images 2")
    none = predict("gone.png", "away.png", "-o", "never")
    assert none.code == 2
    assert "2 of 2 images cannot be read" in none.err
    assert "transductive: images" not in none.err
    assert not Path("never").exists()


def test_an_image_without_a_segment_says_how_near_it_was(predict: Call, images: str) -> None:
    image = Image.new("RGB", (64, 48), (90, 120, 200))
    image.save("photo.png")
    outcome = predict("photo.png", f"{images}/000002000001.png", "--object-threshold", "0.9999")
    assert outcome.code == 0
    assert "this model has seen drawings of shapes alone" in outcome.err
    assert "photo.png: nothing found: the largest class probability is " in outcome.err
    annotation = document()["annotations"][0]
    assert annotation["segments_info"] == []
    assert annotation["nearest"]["category"] in {*THINGS, *STUFF}
    assert 0 < annotation["nearest"]["score"] < 0.9999


def test_masks_as_run_lengths_are_what_the_maps_show(predict: Call, images: str) -> None:
    from pycocotools import mask as coco

    names = [f"{images}/{number:012d}.png" for number in (2_000_001, 2_000_002)]
    assert predict(*names, "--rle", "--no-overlays").code == 0
    assert {path.name for path in Path("predictions").iterdir()} == {
        "000002000001.png", "000002000002.png", "predictions.json", "masks.json",
    }  # fmt: skip
    masks = json.loads(Path("predictions/masks.json").read_text())
    wanted = []
    for annotation in document()["annotations"]:
        ids = ids_of(Path("predictions") / annotation["file_name"])
        wanted += [(annotation["image_id"], segment, ids == segment["id"]) for segment in annotation["segments_info"]]
    assert len(masks) == len(wanted) > 0
    for found, (image_id, segment, mask) in zip(masks, wanted, strict=True):
        assert found["image_id"] == image_id
        assert {key: found[key] for key in ("category_id", "score", "bbox")}.items() <= segment.items()
        assert (coco.decode(found["segmentation"]).astype(bool) == mask).all()


def test_an_interrupted_call_resumes_and_ends_with_the_same_bytes(
    predict: Call, images: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predict(images, "-o", "alone").code == 0
    add, left = Written.add, [5]

    def stopped(self: Written, drawn: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return add(self, drawn)

    with monkeypatch.context() as patch:
        patch.setattr(Written, "add", stopped)
        assert predict(images, "-o", "twice").code == 130
    assert len(document("twice")["images"]) == 5
    times = {path.name: path.stat().st_mtime_ns for path in Path("twice").glob("*.png")}
    outcome = predict(images, "-o", "twice")
    assert outcome.code == 0
    assert "resuming: 4 of 16 images are there" in outcome.err  # the second batch had begun
    assert files("twice") == files("alone")
    same = [name for name in times if (Path("twice") / name).stat().st_mtime_ns == times[name]]
    assert len(same) == 8
    assert "resuming" not in predict(images, "-o", "twice").err  # it has ended: the same command predicts again


def test_where_no_image_can_be_read_the_exit_code_says_so_too(predict: Call) -> None:
    (Path("broken.jpg")).write_bytes(b"")
    outcome = predict("broken.jpg", "--json")
    assert outcome.code == 2
    assert json.loads(outcome.out)["annotations"] == document()["annotations"] == []


def test_nothing_to_do_is_an_error_before_anything_is_written(predict: Call) -> None:
    Path("empty").mkdir()
    outcome = predict("empty", "*.jpg")
    assert outcome.code == 2
    assert "there is no image to predict in empty, *.jpg" in outcome.err
    assert not Path("predictions").exists()


def test_a_list_on_stdin_is_read(predict: Call, images: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = sorted(os.listdir(images))[:2]
    lines = "".join(f"{images}/{name}\n" for name in names).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    assert predict("-").code == 0
    assert [annotation["file_name"] for annotation in document()["annotations"]] == names


def test_two_files_of_one_name_keep_their_results_apart(predict: Call, images: str) -> None:
    for place, name in enumerate(sorted(os.listdir(images))[:2]):
        Path(str(place)).mkdir()
        with Image.open(Path(images) / name) as image:
            image.save(f"{place}/cat.png")
    assert predict("0/cat.png", "1").code == 0
    found = document()
    assert [image["file_name"] for image in found["images"]] == ["0/cat.png", "1/cat.png"]
    assert [annotation["file_name"] for annotation in found["annotations"]] == ["cat.png", "cat-2.png"]
    assert Path("predictions/cat.png").read_bytes() != Path("predictions/cat-2.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--classes", "a;b;c"), "has 2 semicolons"),
        (("--classes", "zebra, zebra"), "names 'zebra' twice"),
        (("--set", "base.tau=0.2"), "was made by another recipe"),
        (("-o", "."), "has files that `scaseg predict` did not make"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    predict: Call, images: str, arguments: tuple[str, ...], says: str
) -> None:
    Path("mine.txt").write_text("mine")
    outcome = predict(images, *arguments)
    assert outcome.code == 2
    assert says in outcome.err
    assert sorted(os.listdir()) == ["mine.txt"]
    assert outcome.out == ""


def test_the_run_folder_stays_as_it_was(predict: Call, images: str, tiny_run: TinyRun) -> None:
    before = {path: path.stat().st_mtime_ns for path in tiny_run.run.rglob("*")}
    assert predict(images).code == 0
    assert {path: path.stat().st_mtime_ns for path in tiny_run.run.rglob("*")} == before
