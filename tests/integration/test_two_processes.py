"""Two processes train one model: in step, as one process would, and not a moment longer than the command lives."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from damaged_world import World, check_refusal
from safetensors.torch import load_file
from tiny_runs import scaseg, signal_when, start_python
from torch import Tensor

from scaseg_cli import launch
from scaseg_cli.base.classifier import BASE_KIND
from scaseg_cli.base.device import World as Processes
from scaseg_cli.base.train import _network
from scaseg_cli.checkpoints import load_tensors
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe

TESTS = Path(__file__).parents[1]
CHANGES = ("base.iterations=3", "base.batch_size=4", "base.log_every=1", "base.warmup=0")
WITHOUT_V2C = (*CHANGES, "base.v2c.enabled=false")


def _as_options(changes: tuple[str, ...]) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


def _update(recipe: Recipe, run: RunDir) -> Tensor:
    """What training added to the weights that it began with, as one vector."""
    before = _network(recipe, run, Processes(torch.device("cpu"))).state_dict()
    after = load_file(run.base_file)
    names = sorted(name for name in after if after[name].is_floating_point())
    return torch.cat([(after[name] - before[name]).flatten() for name in names])


def test_two_processes_train_as_one_does_and_later_stages_go_on(world: World) -> None:
    """The same images make the same step, up to the points at which masks are compared: each process draws its own.

    The angle between the updates of one and of two processes is measured at a cosine of 0.91; between two single
    processes with other points at 0.97; between one process and half of each batch, as if the other process were not
    heard, at 0.69 and less.
    """
    recipe, run = load_recipe("tiny.yaml", WITHOUT_V2C), RunDir(Path("run"))
    assert world.scaseg("train-base", *_as_options(WITHOUT_V2C)).code == 0
    alone = _update(recipe, run)
    command = ("train-base", "-r", "tiny.yaml", "-w", "run", "--gpus", "0", "--processes", "2")
    out = scaseg(world.folder, *command, *_as_options(WITHOUT_V2C), "--json")
    report = json.loads(out)
    assert report["wrote"] == ["run/base/base.safetensors"]
    together = _update(recipe, run)
    assert not torch.equal(alone, together)
    assert torch.cosine_similarity(alone, together, dim=0) > 0.85
    assert float(together.norm() / alone.norm()) == pytest.approx(1.0, abs=0.05)

    with open(run.path / "base" / "losses.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["iteration"] for row in rows] == ["0", "1", "2"]  # one process writes them
    record = run.record("base")
    assert record is not None
    assert record["processes"] == 2
    left = {path.name for path in (run.path / "base").iterdir()}
    assert left == {"base.safetensors", "losses.csv", "record.json", "tensorboard", "workers.log"}
    assert world.scaseg("train-cat", *_as_options(WITHOUT_V2C)).code == 0
    assert run.record("queries") is not None


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("ways", [(), ("base.accumulate=2", "base.amp=bf16")])
def test_both_processes_end_with_the_same_weights_and_banks_of_their_own(
    monkeypatch: pytest.MonkeyPatch, ways: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS), prepend=os.pathsep)
    recipe, run = load_recipe("tiny.yaml", (*CHANGES, *ways, "base.crop=32", "processes=2")), RunDir(Path("run"))
    before = run.base_file.read_bytes()
    launch.launch_workers(recipe, run, 2, "rank_worker:train", "base")
    first, second = (json.loads((run.path / f"rank-{rank}.json").read_text()) for rank in range(2))
    assert first["finite"]
    assert first["weights"] == second["weights"]
    assert first["bank"] != second["bank"]  # CLIP's tokens of other images
    assert first["bank_filled"] == second["bank_filled"] == 3 * 4 // 2
    assert run.base_file.read_bytes() != before
    load_tensors(run.base_file, BASE_KIND, "")


def test_a_batch_that_does_not_divide(world: World) -> None:
    world.refuses(
        "train-base", "--processes", "2", "--set", "base.batch_size=3",
        saying=("base.batch_size 3 is not divisible by 2: 2 processes", "--set base.batch_size=4"),
    )  # fmt: skip
    outcome = world.scaseg("train-base", "--processes", "0")
    check_refusal(outcome, (r"processes: should be greater than 0 \(it is 0\)",))


def _naming(text: str) -> list[str]:
    """Command lines, of processes that live, in which ``text`` stands."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace") if entry.name.isdigit() else ""
        except OSError:
            continue  # it has ended in the meantime
        if text in words:
            found.append(words.replace("\0", " "))
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")
def test_killing_the_command_ends_its_processes(world: World) -> None:
    """SIGKILL leaves the command no moment to end others: the system must."""
    run = world.folder / "run"
    changes = ("base.iterations=100000", "base.batch_size=4", "base.crop=32", "base.checkpoint_every=1")
    command = ("train-base", "-r", "tiny.yaml", "-w", str(run), "--processes", "2", *_as_options(changes))
    # A new Python: what it starts can be told by its command line.
    code = signal_when(run / "base" / "progress.pt", signal.SIGKILL, world.folder, *command, starting=start_python)
    assert code == -signal.SIGKILL
    latest = time.monotonic() + 30
    while _naming(str(run)) and time.monotonic() < latest:
        time.sleep(0.1)
    assert _naming(str(run)) == []
