"""Measure how the cost of each stage grows with images, classes, queries, candidates and iterations; write the page.

    python benchmarks/scaling.py --folder runs/scaling

Each point runs in a process of its own, on one thread, with a small network. Figures are added to
docs/scaling.json as they come, and the page docs/scaling.md is made from them. The same command resumes: it measures
what is missing. ``--again TEXT`` measures series with TEXT in their name again, ``--page-only`` measures none.
"""

from __future__ import annotations

import argparse
import os
import pickle
import sys
import tempfile
import time
import traceback
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measuring import machine_of, prepare
from scaling_page import page

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import read_json, write_json, write_text
from scaseg_cli.results.console import say_plainly

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scaling_stages import Series

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "scaling.md"
PROCESSES, UNITS = "processes", "units"  # names of what is no series, for --only
_STATUS, _PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def work_so_far() -> float:
    """CPU seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])


def memory_of(entry: str) -> float:
    """One entry of this process's status in MB: VmRSS (its memory), RssFile (of that, files) or VmHWM (its peak)."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{entry}:"))
    return int(line.split()[1]) / 1e3


def peak_beyond(before: dict[str, float]) -> float:
    """Peak memory in MB beyond ``before``, VmRSS and RssFile when the peak began to count.

    A system may take back pages of a library's file while the work runs. They are no longer in the peak, so they are
    not subtracted either.
    """
    taken_back = max(0.0, before["RssFile"] - memory_of("RssFile"))
    return memory_of("VmHWM") - (before["VmRSS"] - taken_back)


def measured(series: Series, units: int, shared: Path) -> dict[str, float]:
    """Measure one point in this process: CPU seconds, seconds, and MB of memory beyond what it had before."""
    with tempfile.TemporaryDirectory(prefix="point-", dir=shared) as folder:
        work = series.prepare(shared, Path(folder), units)
        _PEAK.write_text("5")  # the peak counts from here
        before = {entry: memory_of(entry) for entry in ("VmRSS", "RssFile")}
        cpu, clock = work_so_far(), time.perf_counter()
        work()
        return {
            "cpu_s": work_so_far() - cpu,
            "seconds": time.perf_counter() - clock,
            "peak_mb": peak_beyond(before),
        }


def in_child(work: Callable[[], Any], log: Path) -> Any:
    """Return what ``work`` returns in a forked process, whose output goes to ``log``.

    Raises:
        ScasegError: it failed; ``log`` has the reason.
    """
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(receiving)
            sys.stdout = sys.stderr = open(log, "a", encoding="utf-8")  # noqa: SIM115  this process ends below
            os.dup2(sys.stderr.fileno(), 1)
            os.dup2(sys.stderr.fileno(), 2)
            found = pickle.dumps(work())
            with os.fdopen(sending, "wb") as pipe:
                pipe.write(found)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(sending)
    with os.fdopen(receiving, "rb") as pipe:
        content = pipe.read()
    if os.waitpid(child, 0)[1]:
        raise ScasegError(f"a measurement failed; see {log}")
    return pickle.loads(content)


def measured_all(series: Series, units: Sequence[int], shared: Path, log: Path) -> dict[str, dict[str, float]]:
    """Measure points of a series, each in a process of its own, after one that is not measured.

    The first one is the smallest. It loads libraries and fills caches, of which every other process has a copy.
    """
    measured(series, series.units[0], shared)
    return {str(number): in_child(partial(measured, series, number, shared), log) for number in units}


def measure_missing(figures: dict[str, Any], shared: Path, chosen: Sequence[Series], keep: Callable[[], None]) -> None:
    """Measure the points that ``figures`` lacks; ``keep`` is called after each series."""
    shared.mkdir(parents=True, exist_ok=True)
    log = shared / "log.txt"
    for series in chosen:
        points = figures.setdefault("series", {}).setdefault(series.name, {})
        missing = [units for units in series.units if str(units) not in points]
        if missing:
            points |= in_child(partial(measured_all, series, missing, shared, log), log)
            shown = "; ".join(f"{units} {points[str(units)]['cpu_s']:.3g} s" for units in missing)
            say_plainly(f"{series.name}: {shown}")
            keep()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing and write the page; return the exit code."""
    # here, since processes that a stage spawns import this file again
    from run import read_outcomes
    from scaling_processes import measure_ways
    from scaling_stages import SERIES
    from scaling_units import measured_units, units_of

    parser = argparse.ArgumentParser(description="Measure how cost grows; write docs/scaling.md.")
    parser.add_argument("--folder", type=Path, default=Path("runs/scaling"), help="for synthetic data; may be deleted")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="series with this in their name, processes, or units"
    )
    parser.add_argument("--again", metavar="TEXT", help="measure series with this in their name again")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write; its figures go beside it as JSON")
    parser.add_argument("--page-only", action="store_true", help="make the page of the figures that there are")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    prepare("cpu")
    data = options.page.with_suffix(".json")
    figures: dict[str, Any] = read_json(data, "the figures") if data.is_file() else {}
    by_name = figures.get("series", {})
    for series in SERIES:
        if options.again is not None and options.again in series.name:
            by_name.pop(series.name, None)

    def keep() -> None:
        by_name = figures.get("series", {})
        figures["series"] = {series.name: by_name[series.name] for series in SERIES if by_name.get(series.name)}
        figures["machine"] = machine_of("cpu")
        write_json(data, figures)

    shared = options.folder.absolute()
    try:
        if not options.page_only:
            chosen = [series for series in SERIES if options.only in series.name]
            measure_missing(figures, shared, chosen, keep)
            if options.only in PROCESSES:
                measure_ways(figures.setdefault("divided", {}), shared, keep)
            if options.only in UNITS and "units" not in figures:
                own = in_child(measured_units, shared / "log.txt")
                figures["units"] = units_of(read_outcomes(DOCS / "performance.json")) | own
                keep()
    except ScasegError as error:
        say_plainly(f"error: {error}")
        return 2
    finally:
        write_text(options.page, page(figures))
    say_plainly(f"wrote {options.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
