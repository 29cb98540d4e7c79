"""Shared by the benchmarks: their options, interleaved timing, and one form for their results.

A benchmark compares two implementations of the same thing in one run, alternating between them, so a machine that slows
down does so for both. It shows medians, so a single slow round does not matter.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal

from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import say_plainly

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Size = Literal["small", "published"]


@dataclass(frozen=True)
class Goal:
    """The goal for a ratio: at most, or at least, ``bound``."""

    kind: Literal["at most", "at least"]
    bound: float

    def is_met(self, ratio: float) -> bool:
        """Whether ``ratio`` meets the goal."""
        return ratio <= self.bound if self.kind == "at most" else ratio >= self.bound


@dataclass(frozen=True)
class Outcome:
    """The result of one run of a benchmark.

    Attributes:
        benchmark: the benchmark's file name without the extension.
        device: ``cpu`` or ``cuda``.
        size: ``small`` or ``published``.
        ratio_of: what the ratio divides by what, in words.
        ratio: the ratio; None if there is nothing to compare with on this machine.
        goal: the goal for the ratio; None if none is set for this device and size.
        figures: each measured value, by its description with the unit.
        notes: sentences that a reader needs to interpret the figures.
        machine: what `machine_of` returned.
    """

    benchmark: str
    device: str
    size: Size
    ratio_of: str
    ratio: float | None
    goal: Goal | None
    figures: dict[str, float]
    notes: tuple[str, ...]
    machine: dict[str, Any]

    def as_json_value(self) -> dict[str, Any]:
        """The outcome as a JSON value; `outcome_from` is the inverse."""
        return asdict(self)


def outcome_from(value: Mapping[str, Any]) -> Outcome:
    """Make an outcome from the value of `Outcome.as_json_value`."""
    goal = Goal(**value["goal"]) if value["goal"] is not None else None
    return Outcome(**{**value, "goal": goal, "notes": tuple(value["notes"])})


def options_of(description: str, devices: Sequence[str], arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the options of a benchmark that runs on ``devices``: device, size, rounds, json and rehearse."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", choices=devices, default="cpu")
    parser.add_argument("--size", choices=("small", "published"), default="small")
    parser.add_argument("--rounds", type=int, help="number of timed rounds; the default depends on the size")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument("--rehearse", action="store_true", help="take the forms for a GPU on the CPU too")
    options = parser.parse_args(arguments)
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds takes a number of at least 1")
    return options


def prepare(device: str) -> None:
    """Check that ``device`` exists. On a CPU, use one thread, so that waiting between threads is not measured as work.

    Raises:
        ScasegError: there is no CUDA device.
    """
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise ScasegError("torch finds no CUDA device", "Leave --device out to run on the CPU.")
    if device == "cpu":
        torch.set_num_threads(1)


@dataclass(frozen=True)
class Timings:
    """The seconds of each implementation in each round."""

    seconds: Mapping[str, Sequence[float]]

    def median(self, way: str) -> float:
        """Median of the seconds of ``way``."""
        return statistics.median(self.seconds[way])

    def ratio(self, way: str, other: str) -> float:
        """Median of the ratios within the rounds, which a slow round does not change."""
        pairs = zip(self.seconds[way], self.seconds[other], strict=True)
        return statistics.median(one / another for one, another in pairs)


def in_turns(
    ways: Mapping[str, Callable[[], object]],
    rounds: int,
    device: str = "cpu",
    clock: Callable[[], float] | None = None,
) -> Timings:
    """Time each function ``rounds`` times, after one untimed round; each round calls every function once.

    Args:
        ways: the functions to time, by name.
        rounds: number of timed rounds.
        device: with ``cuda``, each call is timed until the device has finished.
        clock: returns seconds; None: CPU time on a CPU, which other processes change little, and wall-clock time with
            ``cuda``.
    """
    clock = clock or (time.perf_counter if device == "cuda" else time.process_time)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            started = clock()
            way()
            _synchronise(device)
            elapsed = clock() - started
            if number:
                seconds[name].append(elapsed)
    return Timings(seconds)


def seconds_of(device: str) -> str:
    """The unit in which `in_turns` measures on ``device``, in words."""
    return "s" if device == "cuda" else "s of CPU time"


def _synchronise(device: str) -> None:
    """Wait until the device has finished its queued work."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def machine_of(device: str) -> dict[str, Any]:
    """The cores, threads, GPU and versions that figures depend on."""
    found: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "python": sys.version.split()[0]}
    found["torch"] = metadata.version("torch")
    if "torch" in sys.modules:
        import torch

        found["threads"] = torch.get_num_threads()
        if device == "cuda":
            found["gpu"] = torch.cuda.get_device_name()
    return found


def show(outcome: Outcome, as_json: bool) -> None:
    """Print the outcome on stdout: a few lines, or one line of JSON."""
    if as_json:
        print(json.dumps(outcome.as_json_value()))
        return
    for name, value in outcome.figures.items():
        print(f"{name}: {shown_number(value)}")
    if outcome.ratio is not None:
        print(f"{outcome.ratio_of}: {shown_number(outcome.ratio)}{shown_goal(outcome)}")
    for note in outcome.notes:
        print(note)


def shown_goal(outcome: Outcome) -> str:
    """The goal and whether it was met, in parentheses; an empty text if there is no goal."""
    if outcome.goal is None or outcome.ratio is None:
        return ""
    met = "met" if outcome.goal.is_met(outcome.ratio) else "missed"
    return f" (goal: {outcome.goal.kind} {outcome.goal.bound:g}; {met})"


def shown_number(value: float) -> str:
    """Format a number with three significant digits; whole numbers are not rounded."""
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def run_benchmark(
    description: str,
    devices: Sequence[str],
    measure: Callable[[argparse.Namespace], Outcome],
    arguments: Sequence[str] | None = None,
) -> int:
    """Run a benchmark as a command; return its exit code."""
    options = options_of(description, devices, arguments)
    warnings.simplefilter("ignore")  # warnings of libraries about their own use
    try:
        show(measure(options), options.json)
    except ScasegError as error:
        say_plainly(f"error: {error}")
        return 2
    return 0
