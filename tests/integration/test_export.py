"""Exported runs predict as scaseg does: from ONNX with onnxruntime, and with the host library's own functions."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
import torch
from command_line import contents, scaseg
from PIL import Image
from tiny_runs import TIMM_STEPS

from scaseg_cli.base import mmcv_ops
from scaseg_cli.base.segmentor import enlarged
from scaseg_cli.base.train import train_base
from scaseg_cli.evaluation.candidates import probabilities_of
from scaseg_cli.packing.export import Wanted, export_host, export_onnx
from scaseg_cli.prediction.model import Model, choose_setting, load_predictor
from scaseg_cli.recipe import load_recipe, recipe_of
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from collections.abc import Sequence

    from damaged_world import World
    from numpy.typing import NDArray
    from tiny_runs import TinyRun

CLOSE = 1e-4


def model_of(run: RunDir, changes: Sequence[str] = (), names: Any = None) -> Model:
    recipe = recipe_of(run.path, changes)
    return load_predictor(recipe, run, choose_setting(run, None)).over(names)


def images_of(run: Path, number: int = 3) -> list[NDArray[np.uint8]]:
    """Validation images; the last one is cut to 50 x 64, which is padded."""
    paths = sorted((run / "data" / "validation").glob("*.png"))[:number]
    images = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    return [*images[:-1], images[-1][:50]]


def ours(model: Model, image: NDArray[np.uint8]) -> tuple[torch.Tensor, torch.Tensor]:
    """Class probabilities [Q, K + 1] and mask probabilities [Q, H, W]."""
    (encoded,) = model.segmentor.encode([image])
    probabilities = probabilities_of(model.candidate, encoded.visual_QD[None], model.vocabulary.num_seen)[0]
    return probabilities, encoded.masks((image.shape[0], image.shape[1]))


def assert_same_from_onnx(folder: Path, model: Model, images: Sequence[NDArray[np.uint8]]) -> None:
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    assert (taken.name, taken.type, taken.shape) == ("image", "tensor(uint8)", [1, 3, 64, 64])
    for image in images:
        height, width = image.shape[:2]
        padded = np.zeros((1, 3, 64, 64), np.uint8)
        padded[0, :, :height, :width] = image.transpose(2, 0, 1)
        found = session.run(["class_probabilities", "mask_logits"], {"image": padded})
        probabilities, logits = (torch.from_numpy(one)[0] for one in found)
        masks = enlarged(logits, (64, 64)).sigmoid()[:, :height, :width]
        wanted, wanted_masks = ours(model, image)
        torch.testing.assert_close(probabilities, wanted, atol=CLOSE, rtol=0)
        torch.testing.assert_close(masks, wanted_masks, atol=CLOSE, rtol=0)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_graph_has_our_masks_and_classes(tiny_run: TinyRun, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    outcome = scaseg(capfd, "export", str(tiny_run.run), "--format", "onnx", "--json")
    assert outcome.code == 0, outcome.err
    facts = json.loads(outcome.out)
    assert all(Path(name).is_file() for name in facts["files"])
    assert facts["outputs"].keys() == {"class_probabilities", "mask_logits"}
    assert max(facts["differences"].values()) < CLOSE
    assert "next: python -c" in outcome.err
    model = model_of(RunDir(tiny_run.run))
    assert_same_from_onnx(here / "tiny-onnx", model, images_of(tiny_run.run))
    assert [one["name"] for one in facts["classes"]] == [one.name for one in model.vocabulary.classes]
    metadata = onnxruntime.InferenceSession(here / "tiny-onnx" / "model.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(metadata["scaseg.classes"]) == facts["classes"]
    card = (here / "tiny-onnx" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: scaseg")
    assert "| transductive | best snapshot |" in card
    assert "## Licences" in card


def test_clip_on_masks_stays_outside_and_the_command_says_so(
    tiny_run: TinyRun, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDir(tiny_run.run)
    with_clip = recipe_of(run.path, ("evaluation.clip_on_masks=crops",))
    export_onnx(with_clip, run, here / "out", Wanted("inductive"))
    assert "without CLIP on masks" in capsys.readouterr().err
    model = load_predictor(recipe_of(run.path), run, "inductive").over(None)
    assert model.candidate.increment > 0
    assert_same_from_onnx(here / "out", model, images_of(run.path))


def test_the_card_of_a_graph_has_code_that_runs(semantic_run: Path, here: Path) -> None:
    run = RunDir(semantic_run / "run")
    export_onnx(recipe_of(run.path), run, here / "out", Wanted(names=(["zebra"], ["grass"])))
    Image.fromarray(images_of(run.path)[0]).save(here / "image.png")
    shutil.copy(here / "out" / "model.onnx", here)
    (code,) = re.findall(r"```python\n(.+?)```", (here / "out" / "README.md").read_text(), re.DOTALL)
    found: dict[str, Any] = {}
    exec(code, found)
    assert found["probabilities"].shape[2] == 3
    assert_same_from_onnx(here, model_of(run, names=(["zebra"], ["grass"])), images_of(run.path))


def test_a_graph_of_a_timm_backbone(world: World) -> None:
    changes = (*TIMM_STEPS, "base.backbone.timm=tf_efficientnet_lite0", "base.backbone.frozen_norm=false")
    recipe, run = load_recipe("tiny.yaml", changes), RunDir(Path("run"))
    shutil.rmtree(run.path / "base")
    train_base(recipe, run)
    model = load_predictor(recipe, run, "inductive").over(None)
    images = images_of(world.folder)
    export_onnx(recipe, run, Path("graph"), Wanted("inductive"), size=(64, 64))
    assert_same_from_onnx(Path("graph"), model, images)
    export_host(recipe, run, Path("host"), Wanted("inductive"))
    assert_same_on_host(Path("host"), model, images)


def assert_same_on_host(folder: Path, model: Model, images: Sequence[NDArray[np.uint8]]) -> None:
    """Load a checkpoint by MMDetection's own function, without scaseg, and compare outputs and panoptic maps."""
    mmcv_ops.install()
    from mmdet.apis import inference_detector, init_detector

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "scaseg_cli", None)  # an import of it fails
        patch.setattr(sys, "path", [*sys.path])
        host = init_detector(folder / "config.py", str(folder / "checkpoint.pth"), device="cpu")
    saved = torch.load(folder / "checkpoint.pth", weights_only=True)
    assert saved["state_dict"].keys() == host.state_dict().keys()
    names = [one.name for one in model.vocabulary.classes]
    order = [names.index(name) for name in host.dataset_meta["classes"]]
    for image in images:
        outputs: list[Any] = []
        hook = host.panoptic_head.register_forward_hook(lambda *given, outputs=outputs: outputs.append(given[2]))
        found = inference_detector(host, image[..., ::-1].copy()).pred_panoptic_seg.sem_seg[0].numpy()
        hook.remove()
        wanted, _ = ours(model, image)
        logits = outputs[0][0][-1][0]
        torch.testing.assert_close(logits.softmax(-1), wanted[:, [*order, len(order)]], atol=CLOSE, rtol=0)
        (segments,) = model.segment([image])
        class_of = np.array([order.index(k) for k in segments.class_index_S] + [len(order)])
        assert (found % 1000 == class_of[segments.map_HW - 1]).mean() > 0.99  # a mask may be 0.5 up to rounding


def test_mmdetection_loads_a_checkpoint_and_predicts_the_same(
    tiny_run: TinyRun, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    outcome = scaseg(capfd, "export", str(tiny_run.run), "--format", "mmdet", "--increment", "1.5")
    assert outcome.code == 0, outcome.err
    model = model_of(RunDir(tiny_run.run)).with_increment(1.5)
    assert_same_on_host(here / "tiny-mmdet", model, images_of(tiny_run.run))
    assert "scaseg_cli" not in "".join(path.read_text() for path in (here / "tiny-mmdet").glob("*.py"))


def test_mmsegmentation_loads_a_checkpoint_and_predicts_the_same(semantic_run: Path, here: Path) -> None:
    run = RunDir(semantic_run / "run")
    export_host(recipe_of(run.path), run, here / "out")
    from mmseg.apis import inference_model, init_model

    model = model_of(run)
    host = init_model(str(here / "out" / "config.py"), str(here / "out" / "checkpoint.pth"), device="cpu")
    assert host.dataset_meta["classes"] == [one.name for one in model.vocabulary.classes]
    for image in images_of(run.path):
        found = inference_model(host, image[..., ::-1].copy()).pred_sem_seg.data[0].numpy()
        (segments,) = model.segment([image])
        assert (found == segments.class_index_S[segments.map_HW - 1]).mean() > 0.99


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--size", "60x64"), "--size 60x64 does not fit: both sides are multiples of 32\nUse --size 64x64"),
        (("--size", "big"), "--size big is not a size"),
        (("--classes", ""), "names no class"),
    ],
)
def test_mistakes_are_named_before_anything_is_written(
    tiny_run: TinyRun, here: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    outcome = scaseg(capfd, "export", str(tiny_run.run), "--format", "onnx", *words)
    assert outcome.code == 2
    assert says in outcome.err
    assert not contents(here)


def test_what_is_there_is_kept(
    tiny_run: TinyRun, here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("export", str(tiny_run.run), "--format", "mmdet", "-o", "out")
    (here / "out").mkdir()
    (here / "out" / "mine.txt").write_text("mine")
    for more in ((), ("--overwrite",)):
        outcome = scaseg(capfd, *words, *more)
        assert (outcome.code, "`scaseg export` did not make it" in outcome.err) == (2, True)
    (here / "out" / "mine.txt").unlink()
    assert scaseg(capfd, *words).code == 0  # an empty folder
    before = contents(here)
    outcome = scaseg(capfd, *words)
    assert (outcome.code, "Use --overwrite to replace it" in outcome.err) == (2, True)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", fail)
        outcome = scaseg(capfd, *words, "--overwrite")
    assert (outcome.code, "No space left on device" in outcome.err) == (2, True)
    assert contents(here) == before
    assert scaseg(capfd, *words, "--overwrite", "--setting", "inductive").code == 0
    assert contents(here).keys() == before.keys()
    assert json.loads((here / "out" / "export.json").read_text())["setting"] == "inductive"


def test_missing_packages_are_named(
    tiny_run: TinyRun, here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    outcome = scaseg(capfd, "export", str(tiny_run.run), "--format", "onnx")
    assert outcome.code == 2
    assert "needs the package onnxruntime" in outcome.err
    assert "pip install 'scaseg[export]'" in outcome.err
    assert not contents(here)
