"""A training that diverges says what to change and keeps its last good checkpoint; NaN is neither written nor read."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
from damaged_world import World, check_refusal
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from scaseg_cli.base.hooks import Progress, read_losses
from scaseg_cli.base.segmentor import load_segmentor, save_base
from scaseg_cli.base.train import losses_file, state_file, train_base
from scaseg_cli.checkpoints import NotFiniteError, load_state
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages import is_done, stage_key
from scaseg_cli.stages.kept import place_of

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = (
    "base.learning_rate=1", "base.clip_grad=0", "base.iterations=40", "base.batch_size=4", "base.log_every=1",
    "base.warmup=0", "base.checkpoint_every=1",
)  # fmt: skip
SAID = (
    "the training diverged: .* at iteration \\d+; the last finite loss is [-0-9.e+]+ at iteration \\d+",
    "Lower the learning rate, now 1 \\(--set base.learning_rate=",
    "limit the gradients, .*--set base.clip_grad=0.01",
)


def _options(*changes: str) -> list[str]:
    return [word for change in (*SETTINGS, *changes) for word in ("--set", change)]


def test_a_diverging_panoptic_training(world: World) -> None:
    run = RunDir(world.folder / "run")
    before = run.base_file.read_bytes()
    outcome = world.scaseg("train-base", *_options())
    check_refusal(outcome, SAID)
    assert "bug of scaseg" not in outcome.err
    assert run.base_file.read_bytes() == before
    recipe = load_recipe("tiny.yaml", SETTINGS)
    key = stage_key(recipe, run, "base")
    kept = place_of(run, "base", key)
    state = load_state(kept / state_file(run).name, key)  # refuses what is not finite
    assert state is not None
    assert 0 < state["iteration"] <= int(read_losses(kept / losses_file(run).name)[-1]["iteration"]) + 1
    saved = (kept / state_file(run).name).read_bytes()
    check_refusal(world.scaseg("train-base", *_options()), SAID)  # from that checkpoint on, the same
    assert (kept / state_file(run).name).read_bytes() == saved


def test_several_processes_say_the_same(world: World) -> None:
    run = RunDir(world.folder / "run")
    before = run.base_file.read_bytes()
    check_refusal(world.scaseg("train-base", "--processes", "2", *_options()), SAID)
    assert run.base_file.read_bytes() == before


def test_a_diverging_semantic_training(semantic_run: Path, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    shutil.copytree(semantic_run / "run", run.path)
    before = run.base_file.read_bytes()
    recipe = load_recipe(str(run.recipe_file), SETTINGS)
    with pytest.raises(ScasegError, match=SAID[0]) as caught:
        train_base(recipe, run)
    assert "--set base.learning_rate=" in str(caught.value.hint)
    assert run.base_file.read_bytes() == before
    assert not is_done(recipe, run, "base")


@pytest.fixture
def spoiled(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Trainings whose weights turn NaN in the last step, after a loss that is finite."""
    at: dict[str, int] = {}
    save = Progress.after_train_iter

    def spoil(hook: Progress, runner: Any, batch_idx: int, **more: Any) -> None:
        if batch_idx == at["iteration"]:
            with torch.no_grad():
                next(iter(runner.model.parameters())).fill_(torch.nan)
        save(hook, runner, batch_idx, **more)

    monkeypatch.setattr(Progress, "after_train_iter", spoil)
    return at


def test_weights_that_the_last_step_made_nan_are_never_written(world: World, spoiled: dict[str, int]) -> None:
    run, spoiled["iteration"] = RunDir(world.folder / "run"), 2
    before = run.base_file.read_bytes()
    sane = ("base.learning_rate=0.0001", "base.clip_grad=0.01", "base.iterations=3", "base.checkpoint_every=2")
    outcome = world.scaseg("train-base", *_options(*sane))
    said = (
        r"the training diverged: network\.\S+ has infinite or NaN values at iteration 2; the last finite loss is \S+ at"
    )
    check_refusal(outcome, (said, "now 0.0001"))
    assert "clip_grad" not in outcome.err
    assert run.base_file.read_bytes() == before
    key = stage_key(load_recipe("tiny.yaml", (*SETTINGS, *sane)), run, "base")
    state = load_state(place_of(run, "base", key) / state_file(run).name, key)
    assert state is not None
    assert state["iteration"] == 2


def test_a_base_model_is_written_finite_and_read_finite(world: World) -> None:
    run, recipe = RunDir(world.folder / "run"), load_recipe("tiny.yaml", ())
    segmentor = load_segmentor(recipe, run)
    with torch.no_grad():
        next(iter(segmentor.network.parameters())).fill_(torch.inf)
    before = run.base_file.read_bytes()
    with pytest.raises(NotFiniteError, match=r"base\.safetensors was not written"):
        save_base(run, segmentor.network, recipe)
    assert run.base_file.read_bytes() == before


STAGE_FILES = {
    # a result, and the commands that read it
    "embeddings/embeddings.safetensors": ("train-base", "train-cat", "union-finetune", "evaluate", "predict"),
    "base/base.safetensors": ("train-cat", "union-finetune", "evaluate", "predict"),
    "queries/queries.safetensors": ("union-finetune",),
    "cat/generator.safetensors": ("union-finetune",),
    "union/best.safetensors": ("evaluate", "predict"),
}


@pytest.mark.parametrize("name", STAGE_FILES)
def test_every_stage_refuses_results_that_are_not_finite(name: str, world: World) -> None:
    file, stage = world.folder / "run" / name, name.partition("/")[0]
    _spoil(file)
    world.adopt(stage)
    images = str(next((world.folder / "data").rglob("*.png")))
    for command in STAGE_FILES[name]:
        more = ("--set", "queries.views=2") if (command, stage) == ("train-cat", "base") else ()
        arguments = (images, "-o", "predicted") if command == "predict" else ()
        world.refuses(command, *more, *arguments, saying=(rf"{name} has infinite or NaN values in \S+",))


def _spoil(file: Path) -> None:
    with safe_open(file, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        meta = opened.metadata()
    name = max(name for name, tensor in tensors.items() if tensor.is_floating_point() and tensor.numel())
    tensors[name].view(-1)[-1] = torch.nan
    save_file(tensors, file, meta)


def test_class_ids_beyond_the_seen_classes(world: World) -> None:
    file = world.folder / "run" / "queries" / "queries.safetensors"
    with safe_open(file, "pt") as opened:
        meta = opened.metadata()
    whole = load_file(file)
    for wrong, said in ((1000, "has the class id 1000, and the seen classes are 0 to "), (-1, "has the class id -1,")):
        save_file({**whole, "class_ids": whole["class_ids"].clone().fill_(wrong)}, file, meta)
        world.adopt("queries")
        world.refuses("union-finetune", saying=(rf"queries\.safetensors {said}", "train-cat"))
        world.refuses("train-cat", "--set", "cat.tau_r=0.3", saying=(rf"queries\.safetensors {said}",))
    for changed in (
        {"class_ids": whole["class_ids"].float()},
        {"class_ids": whole["class_ids"][:-1]},
        {"class_ids": torch.tensor(1)},
        {"null": whole["null"][:, :-1]},
        {"matched": whole["matched"][0]},
    ):
        save_file({**whole, **{name: tensor.contiguous() for name, tensor in changed.items()}}, file, meta)
        world.adopt("queries")
        world.refuses("union-finetune", saying=(r"queries\.safetensors has tensors of other shapes or types",))
