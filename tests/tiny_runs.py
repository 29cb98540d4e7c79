"""Whole runs on a tiny embedded world, each command in a process of its own as a shell starts it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warm_python import PYTHON, warm_python

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Large enough that every training has a checkpoint well before its end, so that it can be cut in the middle.
RECIPE = """
extends: shapes-zps
name: tiny
threads: 1
data:
  shapes: {num_train: 96, num_selection: 12, num_validation: 16, image_size: 64, seed: 3}
base:
  {iterations: 16, batch_size: 4, checkpoint_every: 2, warmup: 0, log_every: 1, num_points: 128,
   decoder_layers: 1}
queries: {views: 1, batch_size: 4, images_per_shard: 8}
cat: {iterations: 400, batch_size: 64, checkpoint_every: 5}
union: {iterations: 300, batch_size: 32, num_null: 16, pseudo_unseen: 2, candidates: 2, checkpoint_every: 5}
evaluation: {object_threshold: 0.0, overlap_threshold: 0.5, batch_size: 4, increments: [0.0, 1.0]}
"""
# Of shapes-zss, with stage 1 alone.
SMALL_SEMANTIC = (
    "threads=1", "data.shapes.num_train=40", "data.shapes.num_selection=8", "data.shapes.num_validation=9",
    "base.iterations=10", "base.batch_size=4", "base.warmup=0", "evaluation.setting=inductive",
    "evaluation.batch_size=4",
)  # fmt: skip
# Two steps of a network of timm, named by base.backbone.timm.
TIMM_STEPS = (
    "base.iterations=2", "base.batch_size=2", "base.log_every=1", "base.warmup=0", "base.checkpoint_every=1",
    "base.crop=32", "base.backbone.checkpoint=null", "base.backbone.width=64", "base.backbone.depth=50",
    "base.backbone.max_pool=true", "base.v2c.enabled=false", "evaluation.setting=inductive",
)  # fmt: skip
TRAIN_IN_TWO = ("train-base", "-r", "tiny.yaml", "--processes", "2")
STAGES = ("split", "embeddings", "base", "queries", "cat", "union", "evaluation")
_LIMIT = 240.0  # seconds that one command may take here


@dataclass(frozen=True)
class TinyRun:
    """A finished run.

    Attributes:
        folder: where its commands ran; the recipe is tiny.yaml there.
        run: its run folder.
        report: what `scaseg run --json` printed.
    """

    folder: Path
    run: Path
    report: dict[str, Any]


def write_recipe(folder: Path) -> Path:
    """The tiny recipe as a file in ``folder``."""
    path = folder / "tiny.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def copy_before_base(tiny_run: TinyRun, folder: Path) -> None:
    """A copy of the tiny run in ``folder`` in which the base is not trained yet."""
    shutil.copytree(tiny_run.folder, folder, dirs_exist_ok=True)
    shutil.rmtree(folder / "runs" / "tiny" / "base")
    (folder / "stderr.txt").unlink()


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `scaseg` in ``folder``, in a session of its own; its stderr goes to the file stderr.txt there."""
    return _start(warm_python(), folder, arguments, {})


def start_python(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The same in a new Python, as a shell starts it."""
    return _start(PYTHON, folder, arguments, {})


def _start(python: str, folder: Path, arguments: tuple[str, ...], env: dict[str, str]) -> subprocess.Popen[str]:
    with open(folder / "stderr.txt", "a", encoding="utf-8") as said:
        return subprocess.Popen(
            [python, "-m", "scaseg_cli", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **env},
            start_new_session=True,
        )


def scaseg(folder: Path, *arguments: str, starting: Callable[..., Any] = start) -> str:
    """Run `scaseg` in ``folder`` to a good end; returns what it wrote to stdout."""
    process = starting(folder, *arguments)
    out: str = process.communicate(timeout=_LIMIT)[0]
    assert process.returncode == 0, (folder / "stderr.txt").read_text(encoding="utf-8")
    return out


def scaseg_json(folder: Path, *arguments: str, starting: Callable[..., Any] = start) -> Any:
    """Run `scaseg ... --json` to a good end; all of stdout must be one JSON document."""
    return json.loads(scaseg(folder, *arguments, "--json", starting=starting))


def signal_when(
    path: Path, number: signal.Signals, folder: Path, *arguments: str, starting: Callable[..., Any] = start
) -> int:
    """Start `scaseg`, wait until ``path`` is there, send the signal; returns the exit code."""
    process = starting(folder, *arguments)
    latest = time.monotonic() + _LIMIT
    while not path.exists():
        if process.poll() is not None or time.monotonic() > latest:
            process.kill()
            raise AssertionError(f"{path} never came:\n{(folder / 'stderr.txt').read_text(encoding='utf-8')}")
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate(timeout=_LIMIT)
    code: int = process.returncode
    return code


def killed_at(place: Path, number: int, folder: Path, *arguments: str) -> None:
    """Start `scaseg`, which SIGKILL ends at the so many-th moment of its work with files at or below ``place``."""
    death = json.dumps([str(place.absolute()), number])
    process = _start(warm_python(), folder, arguments, {"WARM_DEATH": death})
    process.communicate(timeout=_LIMIT)
    said = (folder / "stderr.txt").read_text(encoding="utf-8")
    assert process.returncode == -signal.SIGKILL, f"moment {number} at {place} never came:\n{said[-2000:]}"


def hashes(run: Path) -> dict[str, str]:
    """The SHA-256 of every stage's every file, from the records."""
    records = [json.loads((run / stage / "record.json").read_text()) for stage in STAGES]
    return {name: output["sha256"] for record in records for name, output in record["outputs"].items()}
