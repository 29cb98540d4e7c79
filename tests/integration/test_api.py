"""`scaseg_cli` from Python on a finished run: what it finds is what `scaseg predict` writes, from any thread."""

import json
import math
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import contents, scaseg
from PIL import Image
from tiny_runs import TinyRun

import scaseg_cli
from scaseg_cli import Segmentation, SegmentationModel
from scaseg_cli.data.images import rgb_to_ids
from scaseg_cli.prediction import vocabulary
from scaseg_cli.shapes.world import UNSEEN

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
NAMES = "red ring, zebra, blue cross, street lamp; green dots, lawn"


@pytest.fixture(scope="module")
def model(tiny_run: TinyRun) -> SegmentationModel:
    return scaseg_cli.load(tiny_run.run)


@pytest.fixture(scope="module")
def images(tiny_run: TinyRun) -> list[Path]:
    return sorted((tiny_run.run / "data" / "validation").iterdir())


def values(found: Segmentation) -> list[object]:
    return [found.ids.tolist(), found.segments]


@pytest.mark.parametrize("setting", ["inductive", "transductive"])
@pytest.mark.parametrize(("names", "words"), [(None, ()), (NAMES, ("--classes", NAMES, "--object-threshold", "0.05"))])
def test_results_are_those_that_predict_writes(
    tiny_run: TinyRun,
    images: list[Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    setting: str,
    names: str | None,
    words: tuple[str, ...],
) -> None:
    run = ("-r", str(tiny_run.folder / "tiny.yaml"), "-w", str(tiny_run.run), "-o", str(tmp_path), "--setting", setting)
    assert scaseg(capfd, "predict", str(images[0].parent), *run, *words).code == 0
    document = json.loads((tmp_path / "predictions.json").read_text())
    seen = {item["id"]: item["seen"] for item in document["categories"]}
    model = scaseg_cli.load(tiny_run.run, setting)  # type: ignore[arg-type]
    threshold = 0.05 if words else None
    results = model.segment(images, names, object_threshold=threshold)
    alone = [model.segment(image, names, object_threshold=threshold) for image in images]
    assert len(results) == len(document["annotations"]) == 16
    for found, single, annotation in zip(results, alone, document["annotations"], strict=True):
        with Image.open(tmp_path / annotation["file_name"]) as image:
            assert (found.ids == rgb_to_ids(np.array(image))).all()
        assert found.ids.dtype == np.int32
        assert [
            {
                "id": item.id,
                "category_id": item.category_id,
                "category": item.name,
                "isthing": int(item.isthing),
                "score": item.score,
                "area": item.area,
                "bbox": list(item.box),
                "iscrowd": 0,
            }
            for item in found.segments
        ] == annotation["segments_info"]
        for item in found.segments:
            assert item.seen == seen[item.category_id]
            assert int(item.mask.sum()) == item.area
        with Image.open(tmp_path / annotation["file_name"].replace(".png", "-overlay.png")) as overlay:
            assert np.array_equal(np.asarray(found.overlay()), np.asarray(overlay))
        assert (single.ids == found.ids).mean() > 0.99  # a batch may round in another way than an image alone
    assert sum(len(found.segments) for found in results) > 16


def test_a_model_says_what_it_is(model: SegmentationModel) -> None:
    assert (model.setting, model.task, model.recipe.name, str(model.device)) == ("transductive", "zps", "tiny", "cpu")
    assert {item.name for item in model.classes if not item.seen} == set(UNSEEN)
    assert len(model.classes) == 40
    assert "40 classes, 8 of them unseen" in repr(model)
    with pytest.raises(AttributeError):
        model.setting = "inductive"  # type: ignore[misc]


def test_arrays_and_pillow_images_are_as_their_files(model: SegmentationModel, images: list[Path]) -> None:
    expected = values(model.segment(str(images[0])))
    with Image.open(images[0]) as image:
        assert values(model.segment(image)) == expected
        pixels = np.array(image.convert("RGB"))
    assert values(model.segment(pixels)) == expected
    assert values(model.segment(pixels[..., ::-1].copy()[..., ::-1])) == expected
    assert model.segment(pixels[..., 0]).ids.shape == pixels.shape[:2]
    assert model.segment([]) == []
    (listed,) = model.segment((pixels,))
    assert values(listed) == expected


def test_lists_hold_images_of_any_sizes(model: SegmentationModel, images: list[Path]) -> None:
    with Image.open(images[0]) as image:
        whole = np.array(image.convert("RGB"))
    mixed = [whole, whole[:40], whole[:40], whole]
    found = model.segment(mixed, batch_size=2)
    assert [item.ids.shape for item in found] == [(64, 64), (40, 64), (40, 64), (64, 64)]
    assert values(found[1]) == values(found[2])
    assert values(found[0]) == values(found[3]) == values(model.segment(whole))


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"names": ["zebra", "Zebra"]}, scaseg_cli.ScasegError, "names 'Zebra' and 'zebra', which mean the same"),
        ({"names": [" "]}, scaseg_cli.ScasegError, "which is empty in prompts"),
        ({"object_threshold": 1.5}, scaseg_cli.ScasegError, r"object_threshold 1.5 is not in 0\.\.1"),
        ({"increment": math.nan}, scaseg_cli.ScasegError, "increment nan is not a finite number"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"image": [np.zeros((4, 4), np.uint8), 3]}, TypeError, r"images\[1\] is of type int"),
    ],
)
def test_what_is_wrong_is_refused(
    model: SegmentationModel, arguments: dict[str, object], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        model.segment(**{"image": np.zeros((8, 8, 3), np.uint8), **arguments})  # type: ignore[call-overload]


def test_threads_find_what_one_finds(tiny_run: TinyRun, images: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Several threads, one model: sizes differ, so that a network's state that leaked would not even fit."""
    loads = []
    load_encoder = vocabulary.load_encoder
    monkeypatch.setattr(vocabulary, "load_encoder", lambda recipe: loads.append(recipe) or load_encoder(recipe))
    work = []
    for place, path in enumerate(images):
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))[: 64 - 2 * (place % 5)]
        work += [(pixels, names) for names in (None, NAMES, f"sourdough, {NAMES}")]
    serial = scaseg_cli.load(tiny_run.run)
    expected = [values(serial.segment(pixels, names)) for pixels, names in work]
    shared = scaseg_cli.load(tiny_run.run)
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda item: values(shared.segment(*item)), work))
    assert found == expected
    assert len(loads) == 2  # once a model, however many names and threads


def test_loading_leaves_the_run_random_numbers_and_the_screen_alone(
    tiny_run: TinyRun, images: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    before, state = contents(tiny_run.run), torch.random.get_rng_state()
    scaseg_cli.load(tiny_run.run).segment(images[0], ["zebra"])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert contents(tiny_run.run) == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("device", "says"),
    [
        ("cuda:99", "there is no device cuda:99"),
        ("gpu", "'gpu' is not a device"),
        (3.5, "3.5 is not a device"),
        ("meta", "the device meta is of a type that scaseg does not use"),
    ],
)
def test_a_device_that_is_not_there_is_refused(tiny_run: TinyRun, device: str, says: str) -> None:
    with pytest.raises(scaseg_cli.ScasegError, match=says):
        scaseg_cli.load(tiny_run.run, device=device)


def test_a_run_of_several_gpus_loads_on_the_cpu(
    tiny_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for path in tiny_run.run.iterdir():
        (run / path.name).symlink_to(path)
    text = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").unlink()
    (run / "recipe.yaml").write_text(re.sub(r"^gpus: 0$", "gpus: 8", text, flags=re.MULTILINE))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    model = scaseg_cli.load(run)
    assert model.recipe.gpus == 8
    assert model.device == scaseg_cli.load(run, device=torch.device("cpu")).device == torch.device("cpu")


def test_an_unfinished_run_says_what_to_run(tmp_path: Path, tiny_run: TinyRun) -> None:
    (tmp_path / "recipe.yaml").write_text((tiny_run.run / "recipe.yaml").read_text())
    with pytest.raises(scaseg_cli.ScasegError, match="has no finished split stage") as raised:
        scaseg_cli.load(tmp_path)
    assert "scaseg split-dataset" in str(raised.value.hint)


def test_a_semantic_run_gives_label_maps(semantic_run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    images = sorted((semantic_run / "run" / "data" / "validation").iterdir())
    recipe = str(semantic_run / "run" / "recipe.yaml")
    run = ("-r", recipe, "-w", str(semantic_run / "run"), "-o", str(tmp_path))
    assert scaseg(capfd, "predict", str(images[0].parent), *run).code == 0
    model = scaseg_cli.load(semantic_run / "run")
    assert (model.task, model.setting) == ("zss", "inductive")
    assert not any(item.isthing for item in model.classes)
    for path, found in zip(images, model.segment(images), strict=True):
        with Image.open(tmp_path / path.with_suffix(".png").name) as label_map:
            assert (np.array(label_map) == found.ids).all()
        assert {item.category_id for item in found.segments} == set(np.unique(found.ids).tolist())
        assert sum(item.mask.sum() for item in found.segments) == found.ids.size
    with pytest.raises(scaseg_cli.ScasegError, match=r"^object_threshold 0.5 has no meaning for task zss"):
        model.segment(images[0], object_threshold=0.5)


def test_the_page_runs_as_it_is(tiny_run: TinyRun, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Every Python block of docs/python.md, one after the other, in a folder with a run where the page has one."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "shapes-zps").symlink_to(tiny_run.run)
    images = str(tiny_run.run / "data" / "validation")
    run = ("-r", str(tiny_run.folder / "tiny.yaml"), "-w", str(tiny_run.run), "-o", str(tmp_path / "predictions"))
    assert scaseg(capfd, "predict", images, *run).code == 0
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    assert len(blocks[0].strip().splitlines()) <= 12
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "PQ: seen " in done.stdout
    assert "IoU: seen " in done.stdout
    assert "SegmentationModel('runs/shapes-zps'" in done.stdout
    with Image.open(tmp_path / "found.png") as picture:
        assert picture.size == (512, 512)
