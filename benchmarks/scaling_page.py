"""Make docs/scaling.md from the measured points."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from measuring import shown_number
from scaling_totals import totals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_IN_STEP = 1.15  # the largest exponent that counts as growing in step
_INTRODUCTION = """# Cost as work grows

This page shows how the cost of each stage grows with the size of its work. `python benchmarks/scaling.py` measures the
points and writes this page; [scaling.json](scaling.json) has them as data. The same command resumes. A point is one run
of a stage in a process of its own, on one thread of a CPU, after a small run that loads the libraries. Its CPU time
includes the processes that the stage starts. Images have 64 pixels and the network is as small as possible, so the page
says how cost grows, and [performance.md](performance.md) what a unit of work costs.

The exponent *p* is the slope in log-log: cost grows as units to the power of *p*. *Fitted* is the least-squares slope
over all points, which the fixed cost of a stage flattens; *end* is the slope between the last two. An exponent of 1 is
growth in step with the work, 0 no growth. Memory is the peak beyond what the process held before the stage, at the
smallest and at the largest size.
"""
_FIXED = """## What was fixed

Each of these was found by measuring, and no figure of any result changed. The figures before and after are from one
sitting, on made-up counts, without the network:

- **Scoring semantic classifiers** kept N x N counts for each candidate, and made as many for each image and candidate,
  where the measure needs three for each class. With 1,000 classes that was 8 MB for each candidate (832 MB for the 104
  of stage 3) and 5.8 ms of CPU time for each image and candidate. It is 0.024 MB and 0.16 ms now; with 171 classes
  0.10 ms, before 0.25.
- **Intervals of the evaluation** held the draws of all images as 16 bytes each, and all counts of a row by image and
  class, twice. Of 4,000 images and 1,000 classes, the peak was 310 MB and is 87 MB. It takes 1.5 s of CPU time for each
  row, before 1.9. The draws take 1 kB for each image now, before 16 kB.
- **embed-classes** compared all classes with all others at once: 700 MB with 10,000 classes, and the square of the
  number. It compares 512 at a time.
"""
_OTHERS = """## What grows faster than its work by its definition, and stays

- A step of **union-finetune** grows with the square of the number of classes, if the unseen part stays the same: the
  published method draws `union.pseudo_unseen` embeddings of each unseen class, and each has a logit for each class.
- A step of **train-cat** grows with the square of `cat.batch_size`: the discrepancy compares all pairs of a batch.
- **Mask2Former** attends from each query to each other one, and the matching compares each query with each segment.
- **embed-classes** and the table of neighbours compare each unseen class with each seen one, which takes less time than
  the encoder up to 10,000 classes.

Memory that grows with images where it might not:

- Stages 2 and 3 read the file of query embeddings whole: 2.5 GB for COCO. `queries.unmatched_per_image` and
  `queries.views` set its size.
- Images of at most 128 x 128 pixels are kept after the first reading, as in the embedded world.
"""
_PROCESSES = """## Processes and machines

`python benchmarks/scaling.py --only processes` runs each command in one process, in two, and as two nodes on this
machine, and compares the bytes of what they write. The training of the base model takes other random points in each
process, so that two processes end with [other weights](clusters.md#what-may-change-between-resumes), and two nodes with
those of two processes. At this size a process spends most of its time on loading libraries.
"""
_NO_PROCESSES = """## Processes and machines

Not measured yet: `python benchmarks/scaling.py --only processes`.
"""
_TOTALS = """## Totals for COCO, computed

These are computed, not measured: the number of units of work times the time of one unit at the published size, on one
core. Nobody trains COCO on one core; the table says which stage costs what, and what grows. *Ten times COCO* has ten
times the images in each list, and as many epochs. *1,000 classes* are COCO's images with 105 of 1,000 classes unseen;
the network's time is taken to be the same.
"""
_NO_TOTALS = """## Totals for COCO, computed

Not computed yet: `python benchmarks/scaling.py --only units` measures the time of each unit.
"""


class Point(NamedTuple):
    """One measured point."""

    units: int
    cpu_s: float
    peak_mb: float


def points_of(found: Mapping[str, Mapping[str, float]]) -> list[Point]:
    """The points of a series, ascending."""
    return sorted(Point(int(units), point["cpu_s"], point["peak_mb"]) for units, point in found.items())


def fitted(points: Sequence[Point]) -> float:
    """The least-squares slope of CPU time over units in log-log; NaN for fewer than two points.

    >>> fitted([Point(10, 0.5, 0), Point(100, 50.0, 0), Point(1000, 5000.0, 0)])
    2.0
    """
    xs, ys = [math.log(one.units) for one in points], [math.log(max(one.cpu_s, 0.01)) for one in points]
    mean_x, mean_y = (sum(some) / len(some) for some in (xs, ys))
    spread = sum((x - mean_x) ** 2 for x in xs)
    if not spread:
        return math.nan
    return round(sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread, 2)


def _row(name: str, points: Sequence[Point]) -> str:
    stage, _, dimension = name.partition(": ")
    times = ", ".join(shown_number(one.cpu_s) for one in points)
    units = ", ".join(f"{one.units:,}".replace(",", " ") for one in points)
    end = fitted(points[-2:])
    mark = f"**{end}**" if end > _IN_STEP else f"{end}"
    memory = f"{points[0].peak_mb:.0f} - {points[-1].peak_mb:.0f}"
    return f"| {stage} | {dimension} | {units} | {times} | {fitted(points)} | {mark} | {memory} |"


def _slopes(series: Mapping[str, Any]) -> list[str]:
    lines = ["| stage, task | grows with | units | s of CPU time | fitted | end | memory, MB |"]
    lines.append("|---|---|---|---|---:|---:|---:|")
    return lines + [_row(name, points_of(found)) for name, found in series.items() if len(found) > 1]


def _divided(stages: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The table of processes and nodes."""
    lines = ["| command | divided among | s of CPU time | result |", "|---|---|---:|---|"]
    for stage, ways in stages.items():
        first: dict[str, str] = {}  # the way that was the first to have a result
        for way, found in ways.items():
            like = first.setdefault(found["result"], way)
            result = "its own" if like == way else f"that of {like}"
            lines.append(f"| {stage} | {way} | {shown_number(found['cpu_s'])} | {result} |")
    return lines


def _machine(figures: Mapping[str, Any]) -> list[str]:
    if (known := figures.get("machine")) is None:
        return []
    versions = f"Python {known['python']}, torch {known['torch']}"
    return [f"Machine: {known['cores']} cores, 1 thread; {versions}. An end in bold is above {_IN_STEP}.", ""]


def page(figures: Mapping[str, Any]) -> str:
    """Return the page as Markdown; parts that have not been measured are left out, and named."""
    divided, units = figures.get("divided"), figures.get("units")
    parts = [_INTRODUCTION, "## Measured", "", *_machine(figures), *_slopes(figures.get("series", {})), "", _FIXED]
    parts += [_OTHERS, _PROCESSES if divided else _NO_PROCESSES, *(_divided(divided) if divided else []), ""]
    parts += [_TOTALS if units else _NO_TOTALS, *(totals(units) if units else [])]
    return "\n".join(parts).rstrip("\n") + "\n"
