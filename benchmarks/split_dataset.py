"""Compare `scaseg split-dataset` on annotations of COCO's size with only parsing the same file with orjson.

    python benchmarks/split_dataset.py --size published

Each run is its own process, with the files in the system's cache. The images and labels are blank, so no PNG is read
(--check-png 0). Their headers are, which orjson has no part of: the command runs with this pass and without it.
"""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from coco_like import write_annotations
from measuring import Goal, Outcome, Timings, machine_of, run_benchmark
from PIL import Image

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    import argparse

NUM_IMAGES = {"small": 2_000, "published": 118_287}
NUM_VALIDATION = {"small": 100, "published": 500}  # few, since orjson reads only the training file
ORJSON, COLLECTING = "orjson", "orjson, collecting garbage"
SPLIT, WHOLE = "split-dataset without header checks", "split-dataset"
_WITHOUT_HEADERS = """
import sys
from collections import Counter
import scaseg_cli.split.split as split
from scaseg_cli.cli.app import main
from scaseg_cli.split.header_check import Headers
split.check_headers = lambda sets: {
    part: Headers(Counter(), "", [*range(place * 10**9, place * 10**9 + len(sets[part].images))])
    for place, part in enumerate(sets)
}
sys.exit(main(sys.argv[1:]))
"""
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
    """One finished process: wall-clock seconds, CPU seconds, and peak memory in GB."""

    seconds: float
    work: float
    memory: float


# A process starts with the peak memory of its parent, so the parent has to be small.
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
    """Run a command to its end and measure it.

    Raises:
        ScasegError: the command failed; the message has its output.
    """
    with tempfile.NamedTemporaryFile(suffix=".json") as found:
        runner = [sys.executable, "-S", "-c", _RUN, found.name]
        said = subprocess.run([*runner, *command], stderr=subprocess.PIPE, check=True).stderr
        code, seconds, work, kilobytes = json.load(found)
    if code:
        raise ScasegError(f"{command[0]} ended with code {code}: {said.decode(errors='replace').strip()}")
    return Run(seconds, work, kilobytes * 1024 / 1e9)


def write_set(root: Path, name: str, num_images: int, seed: int) -> None:
    """Write an annotation file and its folders of blank images and labels, no two of the same bytes."""
    write_annotations(root / f"{name}.json", f"{name}2017", num_images, seed)
    images = json.loads((root / f"{name}.json").read_bytes())["images"]
    drawn = random.Random(seed)
    for folder, ending in ((root / name, "jpg"), (root / f"{name}_png", "png")):
        folder.mkdir()
        blank: dict[tuple[int, int], bytes] = {}
        for image in images:
            size = (image["width"], image["height"])
            if size not in blank:
                content = io.BytesIO()
                Image.new("RGB", size).save(content, {"jpg": "jpeg"}.get(ending, ending))
                blank[size] = content.getvalue()
            behind = drawn.randbytes(drawn.randrange(16, 2000))  # so that sizes differ as those of photographs do
            (folder / image["file_name"]).with_suffix(f".{ending}").write_bytes(blank[size] + behind)


def measure(options: argparse.Namespace) -> Outcome:
    """Make the files and time the processes in turns."""
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
            SPLIT: [*python, _WITHOUT_HEADERS, "split-dataset", *split],
            WHOLE: [sys.executable, "-m", "scaseg_cli", "split-dataset", *split],
        }
        runs: dict[str, list[Run]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, command in ways.items():
                run = measured(command)
                if number:  # the first round only fills the system's cache
                    runs[name].append(run)
        lists = json.loads((root / "run" / "split" / "images.json").read_bytes())
    return _outcome(options, runs, megabytes, num_headers=2 * sum(map(len, lists.values())))


def _outcome(options: argparse.Namespace, runs: dict[str, list[Run]], megabytes: float, num_headers: int) -> Outcome:
    clock = Timings({name: [run.seconds for run in some] for name, some in runs.items()})
    work = Timings({name: [run.work for run in some] for name, some in runs.items()})
    memory = {name: max(run.memory for run in some) for name, some in runs.items()}
    figures = {"annotation file, MB": megabytes}
    figures |= {f"{name}, s of CPU time": work.median(name) for name in runs}
    figures |= {f"{name}, GB of memory": memory[name] for name in (ORJSON, WHOLE)}
    figures |= {
        f"{SPLIT} / {COLLECTING}": work.ratio(SPLIT, COLLECTING),
        f"{num_headers:,} headers, s of CPU time": work.median(WHOLE) - work.median(SPLIT),
        f"{WHOLE}, s from start to exit": clock.median(WHOLE),
    }
    return Outcome(
        benchmark="split_dataset",
        device="cpu",
        size=options.size,
        ratio_of=f"{SPLIT} / {ORJSON}",
        ratio=work.ratio(SPLIT, ORJSON),
        goal=Goal("at most", 1.5) if options.size == "published" else None,
        figures=figures,
        notes=(
            f"Whole processes; {NUM_IMAGES[options.size]:,} training and {NUM_VALIDATION[options.size]:,} validation "
            "images. orjson reads only the training file, with Python's garbage collector off, as in split-dataset. In "
            "a script that leaves it on, the collector repeatedly scans the objects that orjson creates. "
            "The headers of the lists' images and labels are read in a pass of its own, which also takes the lists' "
            "digests. The files are small and in the system's cache; what a cold disk costs is not measured.",
        ),
        machine=machine_of("cpu"),
    )


if __name__ == "__main__":
    sys.exit(run_benchmark("split-dataset against parsing with orjson", ("cpu",), measure))
