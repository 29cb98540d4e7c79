"""`scaseg doctor`, and the commands that point to it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.mark.parametrize("name", ["coco-zps", "coco-zss"])
def test_a_machine_with_nothing_is_told_what_to_fetch_and_where_to_put_it(scaseg: Call, name: str) -> None:
    code, out, err = scaseg("doctor", "--recipe", name, "--gpus", "0")
    assert (code, err) == (1, "")
    for part in (
        f"{name}: ", " missing", "wget -c -P coco http://images.cocodataset.org/zips/train2017.zip",
        "~/.cache/clip/ViT-B-16.pt", "resnet50-", "--set clip.checkpoint=PATH",
        "--set base.backbone.checkpoint=PATH",
    ):  # fmt: skip
        assert part in out


def test_nothing_is_written(scaseg: Call, tmp_path: Path) -> None:
    scaseg("doctor", "-r", "coco-zps", "-w", "somewhere/run")
    assert list(tmp_path.iterdir()) == []


def test_the_embedded_world_is_ready(scaseg: Call) -> None:
    code, out, err = scaseg("doctor")
    assert (code, err) == (0, "")
    assert out.startswith("shapes-zps: ready to run")


def test_json(scaseg: Call) -> None:
    code, out, _ = scaseg("doctor", "-r", "coco-zss", "--json")
    value = json.loads(out)
    assert code == 1
    assert value["can_start"] is False
    assert {finding["state"] for finding in value["rows"]} <= {"ready", "warning", "missing"}
    assert all((finding["mend"] is None) == (finding["state"] == "ready") for finding in value["rows"])
    assert json.loads(scaseg("doctor", "--json").out)["can_start"] is True


def test_warnings_leave_the_exit_code_at_nought(scaseg: Call) -> None:
    code, out, _ = scaseg("doctor", "--set", "clip.checkpoint=null")
    assert code == 0
    assert "ready to run, 1 warning" in out


def test_a_faulty_recipe_is_a_mistake_and_no_finding(scaseg: Call) -> None:
    code, out, err = scaseg("doctor", "--set", "base.crop=0")
    assert (code, out) == (2, "")
    assert "base.crop" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("coco-zps", "--gpus", "999"), "CUDA devices, 999 were requested"),
        (("coco-zps", "--gpus", "0"), "coco/annotations/panoptic_train2017.json does not exist"),
        (("coco-zss", "--gpus", "0"), "coco/train2017 does not exist"),
    ],
)
def test_a_run_with_nothing_there_points_to_the_doctor(scaseg: Call, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = scaseg("run", "--recipe", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.splitlines()[-1].endswith("Run `scaseg doctor` with this recipe to see what is missing.")
