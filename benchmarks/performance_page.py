"""Make docs/performance.md from the benchmarks' results; the same rules word every result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from measuring import Outcome, shown_goal, shown_number

if TYPE_CHECKING:
    from collections.abc import Sequence

TITLES = {
    "split_dataset": "split-dataset at COCO's size",
    "demo": "The demo",
    "predict_start": "The start of scaseg predict",
    "base_step": "A training step of stage 1",
    "timm_backbone": "The backbone of the recipes for photographs",
    "training_views": "Training views through a worker",
    "cat_live": "An iteration of stage 2",
    "deformable_attention": "Deformable attention",
    "query_pass": "The query pass",
    "query_shards": "Joining the shards of the query pass",
    "evaluation_pass": "Evaluation",
    "embed_classes": "Class embeddings",
    "panoptic_quality": "Panoptic quality",
    "semantic_scoring": "Scoring semantic classifiers",
    "panoptic_scoring": "Scoring panoptic classifiers",
}
ON_CPU_ALONE = (
    "split_dataset",
    "timm_backbone",
    "training_views",
    "demo",
    "predict_start",
    "query_shards",
    "panoptic_quality",
    "semantic_scoring",
    "panoptic_scoring",
)
_INTRODUCTION = """# Performance

This page shows the speed of the parts that determine how long a run takes, each next to a plain implementation of the
same part. A benchmark times both in one run, alternating between them, and shows medians. `python benchmarks/run.py`
measures the figures and writes this page; [performance.json](performance.json) has them as data. Size *published* is
that of the published settings; *small* is that of the embedded world, or a part. On a CPU the benchmarks measure the
CPU time of one thread, which depends little on what else the machine does. For whole processes, and on a GPU, they
measure wall-clock time.
"""
_NO_GPU = """
**No GPU was available.** Nothing below says how fast `scaseg` is on a GPU, and the goals for a GPU are open.
`python benchmarks/run.py --device cuda` measures them and adds them here.
"""


def command_of(name: str, device: str, size: str) -> str:
    """Return the command that runs one benchmark."""
    where = "" if name in ON_CPU_ALONE else f" --device {device}"
    return f"python benchmarks/{name}.py{where} --size {size}"


def page(outcomes: Sequence[Outcome]) -> str:
    """Return the whole page as Markdown."""
    parts = [_INTRODUCTION]
    if not any(outcome.device == "cuda" for outcome in outcomes):
        parts.append(_NO_GPU)
    parts.append("\n" + _overview(outcomes))
    parts += [f"\n{_section(outcome)}" for outcome in outcomes]
    return "".join(parts)


def _overview(outcomes: Sequence[Outcome]) -> str:
    lines = ["| benchmark | device | size | ratio | of | goal |", "|---|---|---|---:|---|---|"]
    for outcome in outcomes:
        ratio = "-" if outcome.ratio is None else shown_number(outcome.ratio)
        goal = shown_goal(outcome).strip(" ()").removeprefix("goal: ") or "-"
        title = TITLES[outcome.benchmark]
        lines.append(f"| {title} | {outcome.device} | {outcome.size} | {ratio} | {outcome.ratio_of} | {goal} |")
    return "\n".join(lines) + "\n"


def _section(outcome: Outcome) -> str:
    lines = [f"## {TITLES[outcome.benchmark]}: {outcome.size}, {outcome.device}", ""]
    lines += [f"    {command_of(outcome.benchmark, outcome.device, outcome.size)}", ""]
    lines += ["| figure | |", "|---|---:|"]
    lines += [f"| {name} | {shown_number(value)} |" for name, value in outcome.figures.items()]
    if outcome.ratio is not None:
        lines.append(f"| **{outcome.ratio_of}** | **{shown_number(outcome.ratio)}** |")
    return "\n".join([*lines, "", *_wrapped(" ".join([*outcome.notes, _machine(outcome)])), ""])


def _machine(outcome: Outcome) -> str:
    """The sentence on the machine that the benchmark ran on."""
    known = outcome.machine
    parts = [f"{known['cores']} core{'s' if known['cores'] > 1 else ''}"]
    if "threads" in known:
        parts.append(f"{known['threads']} thread{'s' if known['threads'] > 1 else ''}")
    parts += [known["gpu"]] if "gpu" in known else []
    return f"Machine: {', '.join(parts)}; Python {known['python']}, torch {known['torch']}."


def _wrapped(text: str, width: int = 120) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
