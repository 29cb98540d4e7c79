"""Findings on Python, libraries, GPUs and the batch."""

import importlib.util
import sys
from importlib import metadata

import pytest

from scaseg_cli.base import attention_operators
from scaseg_cli.doctor import machine
from scaseg_cli.doctor.finding import Finding
from scaseg_cli.doctor.gpu_memory import gpu_memory, what_fits
from scaseg_cli.doctor.machine import Gpu, count_and_memory, torch_finding
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir

ZPS, ON_CPU = load_recipe("coco-zps"), load_recipe("coco-zps", ("gpus=0",))
RUN = RunDir(ZPS.folder)
GB = 1_000_000_000


def _states(rows: list[Finding]) -> list[str]:
    return [finding.state for finding in rows]


@pytest.mark.parametrize(
    ("version", "state"),
    [((3, 11, 9), "ready"), ((3, 12, 0), "ready"), ((3, 10, 2), "warning"), ((3, 13, 0), "warning")],
)
def test_python(version: tuple[int, ...], state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    assert _states(machine.python_findings(ZPS, RUN)) == [state]


def test_torch_of_this_machine_is_ready_for_the_cpu() -> None:
    (finding,) = machine.torch_findings(ON_CPU, RUN)
    assert finding.state == "ready"
    assert finding.found.startswith(metadata.version("torch").partition("+")[0])


@pytest.mark.parametrize(
    ("recipe", "build", "state", "said"),
    [
        (ZPS, "12.8", "ready", "built for CUDA 12.8"),
        (ON_CPU, None, "ready", "a CPU build"),
        (ZPS, None, "missing", "a CPU build; the recipe requires 8 GPUs"),
    ],
)
def test_torchs_build(recipe, build: str | None, state: str, said: str) -> None:
    finding = torch_finding(recipe, "2.11.0", build)
    assert finding.state == state
    assert said in finding.found


def test_a_torch_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # makes its import fail
    (finding,) = machine.torch_findings(ZPS, RUN)
    assert finding.state == "missing"
    assert finding.found.startswith("it cannot be imported: ")


def test_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = machine.library_findings(ZPS, RUN)
    assert finding.state == "ready"
    assert "mmsegmentation 1.2.2" in finding.found
    monkeypatch.setattr(machine, "_LIBRARIES", ("numpy", "no-such-library"))
    (finding,) = machine.library_findings(ZPS, RUN)
    assert (finding.state, finding.found) == ("missing", "not installed: no-such-library")


@pytest.mark.parametrize(
    ("reason", "fix"),
    [
        (
            "libGL.so.1: cannot open shared object file",
            [
                "pip uninstall --yes opencv-python",
                "pip install --force-reinstall --no-deps -c constraints.txt opencv-python-headless  "
                "# in the checkout of scaseg",
            ],
        ),
        ("numpy is too old", ["pip install -c constraints.txt -e .  # in the checkout of scaseg"]),
    ],
)
def test_an_opencv_that_cannot_be_imported(reason: str, fix: list[str], tmp_path, monkeypatch) -> None:
    (tmp_path / "cv2.py").write_text(f"raise ImportError({reason!r})")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    (finding,) = machine.library_findings(ZPS, RUN)
    assert (finding.state, finding.found) == ("missing", f"OpenCV cannot be imported: {reason}")
    assert (finding.mend or "").splitlines() == fix


def test_gpus_that_nobody_asks_for() -> None:
    (finding,) = machine.gpu_findings(ON_CPU, RUN)
    assert finding.state == "ready"


@pytest.mark.parametrize(
    ("gpus", "states", "said"),
    [
        ([], ["missing"], "none that PyTorch can use; the recipe requires 8, with about 11.0 GB each"),
        ([Gpu("H100", 80 * GB, 79 * GB)] * 2, ["missing"], "2 x H100; the recipe requires 8, with about 11.0 GB each"),
        ([Gpu("H100", 80 * GB, 79 * GB)] * 8, ["ready", "ready"], "8 x H100"),
        ([Gpu("H100", 80 * GB, 79 * GB)] * 7 + [Gpu("H100", 80 * GB, 2 * GB)], ["ready", "warning"], "8 x H100"),
        ([Gpu("A", 80 * GB, 79 * GB), Gpu("B", 80 * GB, 79 * GB)] * 4, ["ready", "ready"], "8 x A / B"),
    ],
)
def test_gpus_against_what_the_recipe_asks_for(gpus: list[Gpu], states: list[str], said: str) -> None:
    rows = count_and_memory(ZPS, gpus)
    assert _states(rows) == states
    assert rows[0].found == said
    assert (rows[0].mend is None) == (states[0] == "ready")


def test_the_memory_told_is_that_of_the_fullest_gpu_in_use() -> None:
    gpus = [Gpu("A", 80 * GB, 30 * GB)] * 8 + [Gpu("A", 80 * GB, 1 * GB)]
    assert count_and_memory(ZPS, gpus)[1].found.startswith("30.0 GB free on the fullest; ")


def test_the_estimate_is_near_what_was_published_for_the_plain_networks() -> None:
    assert 10 < gpu_memory(ZPS) / GB < 13.9  # MMDetection's, two images of 1024 px, with norms apart
    assert 3.4 < gpu_memory(load_recipe("coco-zss")) / GB < 6  # MMSegmentation's, 512 px, without CLIP


@pytest.mark.parametrize(
    ("free", "fix"),
    [
        (10, "--set base.amp=bf16 needs"),
        (8, "--set base.accumulate=2 needs"),
        (6, "--set base.amp=bf16 --set base.accumulate=2 needs"),
        (3.5, "--set base.accumulate=2 --set base.crop=512 needs"),
        (2, "Use GPUs with more memory"),
    ],
)
def test_the_weakest_change_that_fits_is_named(free: float, fix: str) -> None:
    _, finding = count_and_memory(ZPS, [Gpu("A", 16 * GB, round(free * GB))] * 8)
    assert (finding.state, finding.what) == ("warning", "GPU memory")
    assert (finding.mend or "").startswith(fix)


@pytest.mark.parametrize("changes", [(), ("gpus=1",), ("gpus=3",), ("base.amp=fp16",), ("gpus=16", "nodes=2")])
def test_what_is_named_fits_and_can_be_set(changes: tuple[str, ...]) -> None:
    recipe = load_recipe("coco-zps", changes)
    for free in (16, 11, 8, 5):
        words = what_fits(recipe, free * GB).partition(" needs")[0].split(" ")[1::2]
        if not words:
            continue  # nothing fits
        changed = load_recipe("coco-zps", (*changes, *words))
        assert gpu_memory(changed) <= free * GB
        if machine.batch_findings(recipe, RUN)[0].state == "ready":
            assert _states(machine.batch_findings(changed, RUN)) == ["ready"]


@pytest.mark.parametrize(
    ("changes", "state", "found"),
    [
        ((), "ready", "16 images per step, 2 at once: 8 processes"),
        (("gpus=0",), "ready", "16 images per step, 16 at once: 1 process"),
        (("nodes=2", "gpus=4", "base.accumulate=2"), "ready", "16 images per step, 1 at once: 8 processes x 2 parts"),
        (("gpus=3",), "missing", "16 images per step are not divisible by 3: 3 processes"),
        (
            ("gpus=3", "base.accumulate=2"),
            "missing",
            "16 images per step are not divisible by 6: 3 processes x 2 parts",
        ),
    ],
)
def test_the_batch(changes: tuple[str, ...], state: str, found: str) -> None:
    (finding,) = machine.batch_findings(load_recipe("coco-zps", changes), RUN)
    assert (finding.state, finding.found) == (state, found)
    assert state == "ready" or "--set base.batch_size=18" in (finding.mend or "")


def test_memory_is_halved_by_parts_and_by_nodes() -> None:
    halved = gpu_memory(load_recipe("coco-zps", ("base.accumulate=2",)))
    assert gpu_memory(load_recipe("coco-zps", ("nodes=2",))) == halved
    none = gpu_memory(load_recipe("coco-zps", ("base.crop=1", "base.num_points=1")))  # weights alone
    assert halved - none == pytest.approx((gpu_memory(ZPS) - none) / 2, rel=1e-3)


def test_precision() -> None:
    assert machine.precision_findings(ZPS, RUN) == []
    on_cpu = ("gpus=0", "base.amp=bf16")
    assert _states(machine.precision_findings(load_recipe("coco-zps", on_cpu), RUN)) == ["ready"]
    with pytest.raises(ScasegError, match="fp16 needs a GPU"):  # which becomes the row
        machine.precision_findings(load_recipe("coco-zps", ("gpus=0", "base.amp=fp16")), RUN)


def test_weights_and_biases(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.log_findings(ZPS, RUN) == []
    recipe = load_recipe("coco-zps", ("wandb=sca",))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert machine.log_findings(recipe, RUN)[0].found == "the losses go to its project 'sca'"
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ScasegError, match="wandb is not installed"):  # which becomes the row
        machine.log_findings(recipe, RUN)


@pytest.mark.parametrize(
    ("there", "recipe", "state", "found"),
    [
        ((), ON_CPU, "ready", "plain PyTorch"),
        ((), ZPS, "warning", "plain PyTorch, which needs more memory"),
        (("torch-ms-deform-attn",), ON_CPU, "ready", "torch-ms-deform-attn"),
        (("torch-ms-deform-attn",), ZPS, "ready", "torch-ms-deform-attn, untested on cuda"),
        (("deformops",), ZPS, "ready", "deformops, untested on cuda"),
        (("deformops",), ON_CPU, "ready", "plain PyTorch; installed, but not used here: deformops"),
        (
            ("mmcv", "torch-ms-deform-attn"),
            ZPS,
            "ready",
            "mmcv, untested on cuda; installed, but not used here: t",
        ),
    ],
)
def test_operators(there: tuple[str, ...], recipe, state: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_operators, "_is_installed", lambda operator: operator.package in there)
    (finding,) = machine.operator_findings(recipe, RUN)
    assert (finding.state, finding.what) == (state, "attention")
    assert finding.found.startswith(found)
