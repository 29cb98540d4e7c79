"""What TensorBoard and Weights & Biases get; a resumed training run logs no iteration twice."""

from __future__ import annotations

import sys
import time
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from base_world import recipe
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from scaseg_cli.base.device import choose_device, memory_gib
from scaseg_cli.base.events import Events
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe

CPU = torch.device("cpu")
WANDB = """  # what mmengine calls of the package
told = []
def init(**options): told.append(("init", options))
def define_metric(**options): told.append(("metric", options))
def log(values, commit): told.append(("log", values))
def finish(): told.append(("finish", None))
"""


def _tell(recipe: Recipe, run: RunDir, start: int, stop: int) -> None:
    """What the Runner does with the hook from iteration ``start`` to ``stop``, whose losses are 10 + iteration."""
    group = {"lr": 1e-4}
    runner: Any = SimpleNamespace(
        max_iters=10, optim_wrapper=SimpleNamespace(optimizer=SimpleNamespace(param_groups=[group, {"lr": 1e-5}]))
    )
    events = Events(recipe, run, "0123456789abcdef-and-more", start, CPU)
    events.before_train(runner)
    for iteration in range(start, stop):
        events.after_train_iter(runner, iteration, outputs={"loss": torch.tensor(10.0 + iteration)})
    events.after_run(runner)


def _losses(run: RunDir) -> dict[int, float]:
    told = EventAccumulator(str(run.path / "base" / "tensorboard")).Reload().Scalars("loss")
    assert len({event.step for event in told}) == len(told)
    return {event.step: event.value for event in told}


def _every(count: int, **changes: Any) -> Recipe:
    base = recipe().base.model_copy(update={"log_every": count})
    return recipe().model_copy(update={"base": base, **changes})


def test_tensorboard_drops_repeated_iterations_and_other_training_runs(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    _tell(_every(1), run, 0, 4)
    time.sleep(1.0 - time.time() % 1.0)  # files of one second are read in the order of a counter's digits
    _tell(_every(1), run, 2, 5)  # the checkpoint was that of iteration 2
    assert _losses(run) == {0: 10.0, 1: 11.0, 2: 12.0, 3: 13.0, 4: 14.0}
    _tell(_every(1), run, 0, 1)
    assert _losses(run) == {0: 10.0}


def test_it_is_logged_regularly_and_at_the_end(tmp_path: Path) -> None:
    _tell(_every(4), RunDir(tmp_path), 0, 10)
    assert list(_losses(RunDir(tmp_path))) == [0, 4, 8, 9]


def test_weights_and_biases_gets_one_run_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb: Any = ModuleType("wandb")
    exec(WANDB, wandb.__dict__)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    run = RunDir(tmp_path / "run")
    _tell(_every(1, wandb="zero-shot", tensorboard=False), run, 3, 5)
    kinds, values = zip(*wandb.told, strict=True)
    assert kinds == ("init", "metric", "log", "log", "finish")
    assert values[0] == {
        "project": "zero-shot",
        "name": "shapes-zps run 0",
        "id": "0123456789abcdef",
        "resume": "allow",
        "dir": str(run.path / "base" / "wandb"),
    }
    assert values[1] == {"name": "*", "step_metric": "iteration"}
    assert [(value["iteration"], value["loss"], value["learning_rate"]) for value in values[2:4]] == [
        (3, 13.0, 1e-4),
        (4, 14.0, 1e-4),
    ]
    assert values[2]["images_per_second"] > 0
    assert values[2]["memory_gib"] == pytest.approx(memory_gib(CPU), rel=0.2)
    assert not (run.path / "base" / "tensorboard").exists()


def test_deterministic_kernels_are_chosen_where_the_recipe_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    try:
        choose_device(recipe().model_copy(update={"deterministic": True}))
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        choose_device(recipe())
    assert not torch.are_deterministic_algorithms_enabled()
