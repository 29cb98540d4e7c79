"""Compare what `make demo` runs after installing with the build of an earlier commit.

    python benchmarks/demo.py

Both builds run the recipe shapes-zps, all stages, in folders of their own. Whole processes are measured, in turns, by
their CPU time; the recipe uses one thread.
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

from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    import argparse

# The stages that the earlier build has too; the rest of a run is its start, its tables and pictures.
_STAGES = ("data", "base", "queries", "cat", "union", "evaluation")


def measure(options: argparse.Namespace) -> Outcome:
    """Run the recipe with both builds in turns."""
    rounds = options.rounds or 3
    work: dict[str, list[float]] = {"before": [], "now": []}
    clock: dict[str, list[float]] = {"before": [], "now": []}
    by_stage: dict[str, list[float]] = {stage: [] for stage in _STAGES}
    with tempfile.TemporaryDirectory(prefix="scaseg-benchmark-") as folder:
        builds = {"before": earlier_build(Path(folder) / "build"), "now": ROOT}
        for number in range(rounds):
            runs = {name: RunDir(Path(folder) / f"{name}-{number}") for name in builds}
            for name, run in runs.items():
                with using(builds[name]):
                    found = measured([sys.executable, "-P", "-m", "scaseg_cli", "run", "-w", str(run.path)])
                work[name].append(found.work)
                clock[name].append(found.seconds)
            for stage, ratios in by_stage.items():
                seconds = {name: (run.record(stage) or {})["seconds"] for name, run in runs.items()}
                ratios.append(seconds["now"] / seconds["before"])
    return Outcome(
        benchmark="demo",
        device="cpu",
        size=options.size,
        ratio_of="scaseg run, now / before",
        ratio=statistics.median(now / before for now, before in zip(work["now"], work["before"], strict=True)),
        goal=Goal("at most", 0.72),
        figures={
            "before, s of CPU time": statistics.median(work["before"]),
            "now, s of CPU time": statistics.median(work["now"]),
            "before, s from start to end": statistics.median(clock["before"]),
            "now, s from start to end": statistics.median(clock["now"]),
            **{f"{stage}, now / before": statistics.median(ratios) for stage, ratios in by_stage.items()},
        },
        notes=(
            f"Whole processes, {rounds} round{'s' * (rounds > 1)}; a stage's ratio is of clock time. Before: the build "
            f"of commit {EARLIER}, with the same libraries; it did not measure the network while it trained, and "
            "its recipe compared masks of 1,024 pixels at 1,024 points, not 256.",
        ),
        machine=machine_of("cpu"),
    )


if __name__ == "__main__":
    sys.exit(run_benchmark("The demo against an earlier build", ("cpu",), measure))
