"""What the benchmarks share: their options, timing in turns, and one form for what they found.

A benchmark holds two ways of doing the same against each other, in one run, in turns: a machine that grows slower
meanwhile does so for both. What is shown are medians, so that a single slow round does not matter.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any, Literal

from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import say_plainly

Size = Literal["small", "published"]


@dataclass(frozen=True)
class Goal:
    """What the ratio shall be: at most, or at least, ``bound``."""

    kind: Literal["at most", "at least"]
    bound: float

    def is_met(self, ratio: float) -> bool:
        """Whether ``ratio`` is on the right side."""
        return ratio <= self.bound if self.kind == "at most" else ratio >= self.bound


@dataclass(frozen=True)
class Outcome:
    """What one run of a benchmark found.

    Attributes:
        benchmark: the file's name without its ending.
        device: ``cpu`` or ``cuda``.
        size: ``small`` or ``published``.
        ratio_of: what is divided by what, in words.
        ratio: None where there is nothing to compare with here.
        goal: for the ratio; None: none is set for this device and size.
        figures: what was measured, in words with units, and its value.
        notes: what a reader has to know, sentences.
        machine: where it ran.
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
        """For `json`, and back again with `outcome_from`."""
        return asdict(self)


def outcome_from(value: Mapping[str, Any]) -> Outcome:
    """What `Outcome.as_json_value` gave."""
    goal = Goal(**value["goal"]) if value["goal"] is not None else None
    return Outcome(**{**value, "goal": goal, "notes": tuple(value["notes"])})


def options_of(description: str, devices: Sequence[str], arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options ``device``, ``size``, ``rounds`` and ``json`` of a benchmark that runs on ``devices``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", choices=devices, default="cpu")
    parser.add_argument("--size", choices=("small", "published"), default="small")
    parser.add_argument("--rounds", type=int, help="how often each way is timed; without it, what suits the size")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options = parser.parse_args(arguments)
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds takes a number from 1")
    return options


def prepare(device: str) -> None:
    """Go on only if ``device`` is here. On a CPU one thread computes: what several wait for each other is no work.

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
    """Seconds of each way in each round."""

    seconds: Mapping[str, Sequence[float]]

    def median(self, way: str) -> float:
        """The median of one way's rounds."""
        return statistics.median(self.seconds[way])

    def ratio(self, way: str, other: str) -> float:
        """The median of the ratios within the rounds: what slows a whole round changes neither."""
        pairs = zip(self.seconds[way], self.seconds[other], strict=True)
        return statistics.median(one / another for one, another in pairs)


def in_turns(
    ways: Mapping[str, Callable[[], object]],
    rounds: int,
    device: str = "cpu",
    clock: Callable[[], float] | None = None,
) -> Timings:
    """Time each way ``rounds`` times, after one round that is not timed; in each round all ways have their turn.

    Args:
        ways: functions by name.
        rounds: how often each is timed.
        device: ``cuda``: what was asked of it is waited for.
        clock: seconds; None: on a CPU the seconds of work, which other processes change little, and with ``cuda``
            those that pass.
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
    """What `in_turns` counts on ``device``, in words."""
    return "s" if device == "cuda" else "s of work"


def _synchronise(device: str) -> None:
    """Wait until the device has done what was asked of it."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def machine_of(device: str) -> dict[str, Any]:
    """Cores, threads, GPU and versions: what figures depend on."""
    found: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "python": sys.version.split()[0]}
    found["torch"] = metadata.version("torch")
    if "torch" in sys.modules:
        import torch

        found["threads"] = torch.get_num_threads()
        if device == "cuda":
            found["gpu"] = torch.cuda.get_device_name()
    return found


def show(outcome: Outcome, as_json: bool) -> None:
    """Print what was found on stdout: a few lines, or one line of JSON."""
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
    """The goal and whether it was met, in brackets; nothing where there is none."""
    if outcome.goal is None or outcome.ratio is None:
        return ""
    met = "met" if outcome.goal.is_met(outcome.ratio) else "missed"
    return f" (goal: {outcome.goal.kind} {outcome.goal.bound:g}; {met})"


def shown_number(value: float) -> str:
    """Three significant digits; whole numbers as they are."""
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def run_benchmark(
    description: str,
    devices: Sequence[str],
    measure: Callable[[argparse.Namespace], Outcome],
    arguments: Sequence[str] | None = None,
) -> int:
    """The whole of a benchmark's command; returns its exit code."""
    options = options_of(description, devices, arguments)
    warnings.simplefilter("ignore")  # what libraries warn their callers of
    try:
        show(measure(options), options.json)
    except ScasegError as error:
        say_plainly(f"error: {error}")
        return 2
    return 0
