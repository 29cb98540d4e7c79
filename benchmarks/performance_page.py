"""From what the benchmarks found to docs/performance.md; whichever way it came out, the same rules word it."""

from __future__ import annotations

from collections.abc import Sequence

from measuring import Outcome, shown_goal, shown_number

TITLES = {
    "split_dataset": "split-dataset at COCO's size",
    "base_step": "A training step of stage 1",
    "cat_live": "An iteration of stage 2",
    "deformable_attention": "Deformable attention",
    "embed_classes": "Class embeddings",
    "panoptic_quality": "Panoptic quality",
}
ON_CPU_ALONE = ("split_dataset", "panoptic_quality")
_INTRODUCTION = """# Performance

How fast the parts are that decide how long a run takes, each beside the plain way of doing the same. A benchmark times
both in one run, in turns, and shows medians. The figures come from `python benchmarks/run.py`, which writes this page;
as data they are in [performance.json](performance.json). Sizes: *published* are those of the published settings,
*small* those of the embedded world, or a part. On a CPU, seconds of work of one thread are counted: what else a
machine does changes them little. Where whole processes are timed, and on a GPU, they are the clock's.
"""
_NO_GPU = """
**No GPU was at hand.** Nothing below says how fast `scaseg` is on one, and goals that are set for a GPU are open:
`python benchmarks/run.py --device cuda` measures them and adds them here.
"""


def command_of(name: str, device: str, size: str) -> str:
    """The command that runs one benchmark."""
    return f"python benchmarks/{name}.py" + ("" if name in ON_CPU_ALONE else f" --device {device}") + f" --size {size}"


def page(outcomes: Sequence[Outcome]) -> str:
    """The whole page, in Markdown."""
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
    """Where it ran, a sentence."""
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
