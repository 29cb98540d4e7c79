"""Compare `scaseg predict` of one picture, from start to end, with the build of an earlier commit.

    python benchmarks/predict_start.py

The earlier build is taken from the clone's history. Both builds get a run folder of their own, whose base model has
random weights, and one picture of 64 pixels, so that nearly all of the time is the start: imports, checks, the network.
Whole processes are measured, in turns, by the CPU time of the process.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from earlier_build import EARLIER, ROOT, earlier_build, using
from measuring import Goal, Outcome, machine_of, run_benchmark
from split_dataset import measured

if TYPE_CHECKING:
    import argparse

_MAKE_RUN = """
import sys
from pathlib import Path
from scaseg_cli.recipe import save_recipe
from scaseg_cli.run_dir import RunDir
from cat_live import finish_stages, make_recipe, write_images
root = Path(sys.argv[1])
write_images(root / "data", "small", 4)
recipe = make_recipe("small", "cpu", root / "data")
finish_stages(recipe, RunDir(root / "run"), 100)
save_recipe(recipe, root / "recipe.yaml")
"""


def prepare_run(build: Path, root: Path) -> list[str]:
    """Make a run folder with ``build`` and return the command that predicts one of its pictures.

    Raises:
        ScasegError: the build failed; its output says why.
    """
    with using(build):
        measured([sys.executable, "-P", "-c", _MAKE_RUN, str(root)])
    picture = min((root / "data" / "train").iterdir())
    run = ["-r", str(root / "recipe.yaml"), "-w", str(root / "run"), "-o", str(root / "found")]
    return [sys.executable, "-P", "-m", "scaseg_cli", "predict", str(picture), *run]


def measure(options: argparse.Namespace) -> Outcome:
    """Measure the command of both builds in turns."""
    rounds = options.rounds or 3
    work: dict[str, list[float]] = {"before": [], "now": []}
    with tempfile.TemporaryDirectory(prefix="scaseg-benchmark-") as folder:
        builds = {"before": earlier_build(Path(folder) / "build"), "now": ROOT}
        commands = {name: prepare_run(build, Path(folder) / name) for name, build in builds.items()}
        for number in range(rounds + 1):  # the first fills the caches
            for name, command in commands.items():
                with using(builds[name]):
                    found = measured(command)
                if number:
                    work[name].append(found.work)
    return Outcome(
        benchmark="predict_start",
        device="cpu",
        size=options.size,
        ratio_of="scaseg predict of one picture, now / before",
        ratio=statistics.median(now / before for now, before in zip(work["now"], work["before"], strict=True)),
        goal=Goal("at most", 0.65),
        figures={
            "before, s of CPU time": statistics.median(work["before"]),
            "now, s of CPU time": statistics.median(work["now"]),
        },
        notes=(
            f"Whole processes, one picture of 64 pixels, {rounds} rounds. Before: the build of commit {EARLIER}, with "
            "the same libraries.",
        ),
        machine=machine_of("cpu"),
    )


if __name__ == "__main__":
    sys.exit(run_benchmark("The start of scaseg predict against an earlier build", ("cpu",), measure))
