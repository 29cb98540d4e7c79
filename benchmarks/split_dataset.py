"""`scaseg split-dataset` on annotations of COCO's size, beside reading the same file with orjson and nothing else.

    python benchmarks/split_dataset.py --size published

Every run is a process of its own, from its start to its end, with the file in the system's cache. The images and
labels are empty files, so none is looked into (--check-png 0).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from coco_like import write_annotations
from measuring import Goal, Outcome, Timings, machine_of, run_benchmark

from scaseg_cli.errors import ScasegError

NUM_IMAGES = {"small": 2_000, "published": 118_287}
NUM_VALIDATION = {"small": 100, "published": 500}  # few: orjson reads the training file alone
ORJSON, COLLECTING = "orjson", "orjson, collecting garbage"
_PARSE = "import orjson, sys; content = orjson.loads(open(sys.argv[1], 'rb').read())"
_RECIPE = """
extends: shapes-zps
name: benchmark
data:
  shapes: null
  selection: null
  root: {root}
  train: {{images: train, annotations: train.json, labels: train_png}}
  validation: {{images: val, annotations: val.json, labels: val_png}}
split: {{unseen: coco-zps}}
"""


@dataclass(frozen=True)
class Run:
    """One finished process: seconds on the clock and of work, and the most memory that it held, in GB."""

    seconds: float
    work: float
    memory: float


# A process begins with the peak memory of the one that it was forked from, so that one has to be small.
_RUN = """
import json, os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=sys.stderr)
_, status, usage = os.wait4(process.pid, 0)
seconds = time.perf_counter() - started
with open(sys.argv[1], "w") as file:
    json.dump([os.waitstatus_to_exitcode(status), seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss], file)
"""


def measured(command: list[str]) -> Run:
    """Run a command to its end.

    Raises:
        ScasegError: it failed; with what it said.
    """
    with tempfile.NamedTemporaryFile(suffix=".json") as found:
        runner = [sys.executable, "-S", "-c", _RUN, found.name]
        said = subprocess.run([*runner, *command], stderr=subprocess.PIPE, check=True).stderr
        code, seconds, work, kilobytes = json.load(found)
    if code:
        raise ScasegError(f"{command[0]} ended with code {code}: {said.decode(errors='replace').strip()}")
    return Run(seconds, work, kilobytes * 1024 / 1e9)


def write_set(root: Path, name: str, num_images: int, seed: int) -> None:
    """An annotation file with its folders; their files are empty."""
    stems = write_annotations(root / f"{name}.json", f"{name}2017", num_images, seed)
    for folder, ending in ((root / name, "jpg"), (root / f"{name}_png", "png")):
        folder.mkdir()
        for stem in stems:
            (folder / f"{stem}.{ending}").touch()


def measure(options: argparse.Namespace) -> Outcome:
    """Make the files, run all ways in turns, compare."""
    rounds = options.rounds or {"small": 3, "published": 5}[options.size]
    with tempfile.TemporaryDirectory(prefix="scaseg-benchmark-") as folder:
        root = Path(folder)
        write_set(root, "train", NUM_IMAGES[options.size], seed=0)
        write_set(root, "val", NUM_VALIDATION[options.size], seed=1)
        megabytes = (root / "train.json").stat().st_size / 1e6
        recipe = root / "recipe.yaml"
        recipe.write_text(_RECIPE.format(root=root), encoding="utf-8")
        python = [sys.executable, "-c"]
        split = ["--recipe", str(recipe), "--work-dir", str(root / "run"), "--check-png", "0"]
        ways = {
            ORJSON: [*python, f"import gc; gc.disable(); {_PARSE}", str(root / "train.json")],
            COLLECTING: [*python, _PARSE, str(root / "train.json")],
            "split-dataset": [sys.executable, "-m", "scaseg_cli", "split-dataset", *split],
        }
        runs: dict[str, list[Run]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, command in ways.items():
                run = measured(command)
                if number:  # the first round only fills the system's cache
                    runs[name].append(run)
    return _outcome(options, runs, megabytes)


def _outcome(options: argparse.Namespace, runs: dict[str, list[Run]], megabytes: float) -> Outcome:
    clock = Timings({name: [run.seconds for run in some] for name, some in runs.items()})
    work = Timings({name: [run.work for run in some] for name, some in runs.items()})
    memory = {name: max(run.memory for run in some) for name, some in runs.items()}
    figures = {"annotation file, MB": megabytes}
    figures |= {f"{name}, s": clock.median(name) for name in runs}
    figures |= {f"{name}, GB of memory": memory[name] for name in (ORJSON, "split-dataset")}
    figures |= {
        f"split-dataset / {ORJSON}, seconds of work": work.ratio("split-dataset", ORJSON),
        f"split-dataset / {COLLECTING}": clock.ratio("split-dataset", COLLECTING),
    }
    return Outcome(
        benchmark="split_dataset",
        device="cpu",
        size=options.size,
        ratio_of=f"split-dataset / {ORJSON}",
        ratio=clock.ratio("split-dataset", ORJSON),
        goal=Goal("at most", 1.5) if options.size == "published" else None,
        figures=figures,
        notes=(
            f"Whole processes. {NUM_IMAGES[options.size]:,} images of training and {NUM_VALIDATION[options.size]:,} of "
            "validation; orjson reads the training file alone, with Python's garbage collection off, as split-dataset "
            "reads. As scripts run without that care, Python looks for garbage among what orjson makes, over and over.",
        ),
        machine=machine_of("cpu"),
    )


if __name__ == "__main__":
    sys.exit(run_benchmark("split-dataset against parsing with orjson", ("cpu",), measure))
