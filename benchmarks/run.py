"""Run the benchmarks that suit a device and write docs/performance.md from their results.

    python benchmarks/run.py
    python benchmarks/run.py --device cuda
    python benchmarks/run.py --device cuda --rehearse

The results are kept as data in docs/performance.json. A later run replaces only what it measures again, so figures of a
GPU are added to those of a CPU. The machine must be otherwise idle for the figures to be meaningful.

On a GPU all benchmarks together take at most six minutes: what does not finish in time is left out. ``--rehearse`` runs
the same benchmarks at their small size on a CPU, in all forms, in a few minutes, and keeps no figures: it says whether
the run would pass on a GPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import Outcome, outcome_from
from performance_page import command_of, page

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import read_json, write_json, write_text
from scaseg_cli.results.console import say_plainly

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "docs" / "performance.md"
# The benchmarks worth running on each device; on a CPU, published sizes only if they finish within minutes.
PLAN: dict[str, tuple[tuple[str, str], ...]] = {
    "cpu": (
        ("split_dataset", "published"),
        ("demo", "small"),
        ("predict_start", "small"),
        ("base_step", "small"),
        ("base_step", "published"),
        ("timm_backbone", "small"),
        ("training_views", "published"),
        ("cat_live", "small"),
        ("cat_live", "published"),
        ("deformable_attention", "published"),
        ("embed_classes", "small"),
        ("query_pass", "small"),
        ("query_shards", "small"),
        ("evaluation_pass", "small"),
        ("panoptic_quality", "published"),
        ("semantic_scoring", "small"),
        ("semantic_scoring", "published"),
        ("panoptic_scoring", "small"),
        ("panoptic_scoring", "published"),
    ),
    "cuda": (
        ("base_step", "published"),
        ("deformable_attention", "published"),
        ("query_pass", "published"),
        ("evaluation_pass", "published"),
        ("cat_live", "published"),
        ("embed_classes", "published"),
    ),
}
ON_GPU_SECONDS = 360
NAMES = tuple(dict.fromkeys(name for plan in PLAN.values() for name, _ in plan))


def run_one(name: str, device: str, size: str, *more: str, seconds: float | None = None) -> Outcome:
    """Run one benchmark in its own process.

    Raises:
        ScasegError: the benchmark failed, and its output says why; or it took more than ``seconds``.
    """
    command = [sys.executable, str(FOLDER / f"{name}.py"), "--device", device, "--size", size, "--json"]
    command += more
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise ScasegError(
            f"the benchmark {name} was ended: all together may take {ON_GPU_SECONDS} s", f"Run it alone: --only {name}"
        ) from error
    if done.returncode:
        raise ScasegError(f"the benchmark {name} ended with code {done.returncode}", "See its output above.")
    return outcome_from(json.loads(done.stdout.splitlines()[-1]))


def read_outcomes(path: Path) -> list[Outcome]:
    """Read the results of earlier runs; an empty list if there are none."""
    if not path.is_file():
        return []
    return [outcome_from(value) for value in read_json(path, "the benchmarks' figures")["outcomes"]]


def replaced_in(outcomes: Iterable[Outcome], new: Outcome) -> list[Outcome]:
    """Replace the outcome of the same benchmark, device and size by ``new``; the result is in the plan's order."""

    def key(outcome: Outcome) -> tuple[str, str, str]:
        return outcome.benchmark, outcome.device, outcome.size

    kept = {key(outcome): outcome for outcome in (*outcomes, new)}
    return sorted(kept.values(), key=lambda o: (NAMES.index(o.benchmark), o.device, o.size == "published"))


def kept(place: Path, new: Outcome) -> None:
    """Add an outcome to the figures beside the page ``place``, and make the page of them."""
    data = place.with_suffix(".json")
    outcomes = replaced_in(read_outcomes(data), new)
    write_json(data, {"outcomes": [outcome.as_json_value() for outcome in outcomes]})
    write_text(place, page(outcomes))


def rehearse(names: Sequence[str]) -> int:
    """Run benchmarks once on the CPU at their small size, in all forms; return the exit code."""
    try:
        with tempfile.TemporaryDirectory(prefix="scaseg-rehearsal-") as folder:
            for name in names:
                say_plainly(f"rehearsing {command_of(name, 'cpu', 'small')} --rehearse")
                started = time.monotonic()
                outcome = run_one(name, "cpu", "small", "--rehearse", "--rounds", "1")
                kept(Path(folder) / PAGE.name, outcome)
                say_plainly(f"{name}: {len(outcome.figures)} figures in {time.monotonic() - started:.0f} s")
    except ScasegError as error:
        say_plainly(f"error: {error}")
        return 2
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks and write the page; return the exit code. A later failure keeps what was measured."""
    parser = argparse.ArgumentParser(description="Run the benchmarks; write docs/performance.md.")
    parser.add_argument("--device", choices=tuple(PLAN), default="cpu")
    parser.add_argument("--only", choices=NAMES, action="append", help="run this benchmark only; may be repeated")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write; its figures go beside it as JSON")
    parser.add_argument("--rehearse", action="store_true", help="take the plan's branches on a CPU, at small sizes")
    options = parser.parse_args(arguments)
    chosen = [(name, size) for name, size in PLAN[options.device] if not options.only or name in options.only]
    if options.rehearse:
        return rehearse([name for name, _ in chosen])
    end = time.monotonic() + ON_GPU_SECONDS if options.device == "cuda" else None
    failed = False
    for name, size in chosen:
        say_plainly(command_of(name, options.device, size))
        try:
            left = max(1.0, end - time.monotonic()) if end is not None else None
            kept(options.page, run_one(name, options.device, size, seconds=left))
        except ScasegError as error:  # the others may still be measured
            say_plainly(f"error: {error}")
            failed = True
    if failed:
        return 2
    say_plainly(f"wrote {options.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
