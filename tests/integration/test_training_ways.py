"""What accumulation and 16 bits change of a training; that each goes on exactly when it is cut; what the logs get."""

from __future__ import annotations

import shutil
from logging import FileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from full_disk import room_for
from mmengine.logging import MMLogger
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from scaseg_cli.base.device import World as Processes
from scaseg_cli.base.hooks import Progress, read_losses
from scaseg_cli.base.train import _network, losses_file, state_file, train_base
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from collections.abc import Callable

    from damaged_world import World

CHANGES = ("base.iterations=4", "base.batch_size=4", "base.log_every=1", "base.warmup=0", "base.checkpoint_every=2")
SMALL = "base.crop=32"  # for what does not depend on what the network sees


class Cut(Exception):
    """Ends a training in its midst."""


def _trained(*changes: str) -> bytes:
    """The base that a training from its beginning to its end leaves."""
    run = RunDir(Path("run"))
    shutil.rmtree(run.path / "base", ignore_errors=True)
    train_base(load_recipe("tiny.yaml", (*CHANGES, *changes)), run)
    return run.base_file.read_bytes()


def _update(*changes: str) -> Tensor:
    """What a training added to the weights that it began with, as one vector."""
    recipe, run = load_recipe("tiny.yaml", (*CHANGES, *changes)), RunDir(Path("run"))
    before = _network(recipe, run, Processes(torch.device("cpu"))).state_dict()
    _trained(*changes)
    after = load_file(run.base_file)
    names = sorted(name for name in after if after[name].is_floating_point())
    return torch.cat([(after[name] - before[name]).flatten() for name in names])


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("change", ["base.accumulate=2", "base.amp=bf16"], ids=["two parts of a step", "bf16"])
def test_a_step_is_nearly_the_same(change: str) -> None:
    """Measured: a cosine of 0.92 in two parts, whose masks are compared at other points, and of 0.94 in bf16.

    Half of each batch would give 0.69 and less, as test_two_processes.py says.
    """
    one_way, another = _update("base.v2c.enabled=false"), _update("base.v2c.enabled=false", change)
    assert not torch.equal(one_way, another)
    assert torch.cosine_similarity(one_way, another, dim=0) > 0.85
    assert float(another.norm() / one_way.norm()) == pytest.approx(1.0, abs=0.05)


@pytest.mark.usefixtures("world")
def test_a_training_that_was_cut_goes_on_to_the_same_end(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = (SMALL, "base.accumulate=2", "base.amp=bf16")
    whole = _trained(*changes)
    run = RunDir(Path("run"))
    iterations = [row["iteration"] for row in read_losses(losses_file(run))]
    assert iterations == ["0", "1", "2", "3"]  # steps of the optimizer, not parts of them
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "after_train_iter", _cut_after(3, Progress.after_train_iter))
        with pytest.raises(Cut):
            _trained(*changes)
    assert state_file(run).is_file()
    train_base(load_recipe("tiny.yaml", (*CHANGES, *changes)), run)
    assert run.base_file.read_bytes() == whole


@pytest.mark.usefixtures("world")
def test_a_disk_that_is_full_at_a_checkpoint_keeps_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, run = load_recipe("tiny.yaml", (*CHANGES, SMALL)), RunDir(Path("run"))
    whole = _trained(SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "after_train_iter", _cut_after(2, Progress.after_train_iter))
        with pytest.raises(Cut):
            _trained(SMALL)
    saved = state_file(run).read_bytes()
    with (
        room_for(len(saved) // 2),
        pytest.raises(ScasegError, match=r"cannot write .*progress\.pt: File too"),
    ):
        train_base(recipe, run)
    assert state_file(run).read_bytes() == saved
    train_base(recipe, run)
    assert run.base_file.read_bytes() == whole


def _cut_after(iterations: int, save: Callable[..., None]) -> Callable[..., None]:
    def cut(hook: Progress, runner: Any, batch_idx: int, **more: Any) -> None:
        save(hook, runner, batch_idx, **more)
        if batch_idx + 1 == iterations:
            raise Cut

    return cut


@pytest.mark.usefixtures("world")
def test_tensorboard_gets_losses_rate_speed_and_memory() -> None:
    _trained("base.iterations=2", SMALL)
    folder = RunDir(Path("run")).path / "base" / "tensorboard"
    told = EventAccumulator(str(folder)).Reload()
    wanted = {"loss", "loss_cls", "loss_v2c", "learning_rate", "images_per_second", "memory_gib"}
    assert wanted < set(told.Tags()["scalars"])
    losses = read_losses(losses_file(RunDir(Path("run"))))
    assert [(event.step, pytest.approx(event.value, rel=1e-4)) for event in told.Scalars("loss")] == [
        (int(row["iteration"]), float(row["loss"])) for row in losses
    ]
    shutil.rmtree(folder)
    _trained("base.iterations=1", SMALL, "tensorboard=false")
    assert not folder.exists()


@pytest.mark.usefixtures("world")
def test_a_training_leaves_no_open_log_behind() -> None:
    _trained("base.iterations=1", SMALL)
    open_logs = [handler for handler in MMLogger.get_current_instance().handlers if isinstance(handler, FileHandler)]
    assert open_logs == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("base.amp=fp16", ("base.amp fp16 needs a GPU", "base.amp=bf16")),
        ("wandb=zero-shot", ("wandb is not installed", "pip install wandb")),
    ],
)
def test_what_this_machine_cannot_do(world: World, change: str, said: tuple[str, ...]) -> None:
    world.refuses("train-base", "--set", "base.iterations=1", "--set", change, saying=said)
