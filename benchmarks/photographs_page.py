"""Make the page of the recipes for photographs from the figures of their runs.

The same rule words every comparison, whichever way it comes out. Figures are fractions until they are formatted.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import mean
from typing import TYPE_CHECKING, Any

from shapes_page import compared, with_spread

from scaseg_cli.measures.measure import TITLES
from scaseg_cli.measures.result_table import neighbour_columns
from scaseg_cli.recipe import load_recipe
from scaseg_cli.results.table import Column, Table, shown
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# This project's additions, weaker than on the embedded world: settings of the prototype, which looked at validation.
ADDITIONS = (
    "cat.reconstruction_weight=1",
    "cat.mixup=1",
    "cat.semantic_unseen=false",
    "union.unseen_pull.beta=0.3",
    "union.unseen_pull.k=1",
    "union.unseen_weight=3",
)
VARIANTS: dict[str, tuple[str, ...]] = {
    "recipe": (),
    "additions": ADDITIONS,
    "covariance": ("cat.noise=seen_covariance",),
    "ridge": ("cat.generator=ridge",),
    "folds": ("evaluation.choose_on=seen_folds",),
    "random": (),
    "scratch": ("base.backbone.checkpoint=null", "base.backbone.frozen_norm=false", "base.backbone_rate=1"),
}
# The rows of the table: variant, row of the result table, title.
ROWS = (
    ("recipe", "base", "base, no increment"),
    ("recipe", "inductive", "base, the published increment of 1"),
    ("recipe", "base-best-increment", "base, best increment (calibrated stacking)"),
    ("recipe", "control", "fine-tuned without generator"),
    ("recipe", "control-best-increment", "fine-tuned without generator, best increment"),
    ("recipe", "transductive", "generator as published"),
    ("recipe", "transductive-best-increment", "generator as published, best snapshot and increment"),
    ("additions", "transductive", "generator with our additions"),
    ("additions", "transductive-best-increment", "generator with our additions, best snapshot and increment"),
    ("covariance", "transductive", "generator with the covariance of seen queries"),
    (
        "covariance",
        "transductive-best-increment",
        "generator with the covariance of seen queries, best snapshot and increment",
    ),
    ("ridge", "transductive", "ridge Gaussian"),
    ("ridge", "transductive-best-increment", "ridge Gaussian, best snapshot and increment"),
    ("folds", "base-best-increment", "chosen on folds of seen classes: base and its increment"),
    ("folds", "control-best-increment", "chosen on folds of seen classes: fine-tuned without generator"),
    ("folds", "transductive-best-increment", "chosen on folds of seen classes: generator as published"),
    ("random", "base-best-increment", "random class vectors: base, best increment"),
    ("random", "transductive-best-increment", "random class vectors: generator, best snapshot and increment"),
    ("scratch", "base", "no ImageNet weights: base, no increment"),
    ("scratch", "base-best-increment", "no ImageNet weights: base, best increment"),
)
_CONTROLS = ("base-best-increment", "control-best-increment")
_GROUPS = {"seen": "s", "unseen": "u", "harmonic": "h"}
# What the recipes are to reach, mean of the seeds: recipe, row, group, at least or at most, percent.
_TARGETS = (
    ("msrc-zss", "recipe", "base", "seen", "at least", 70),
    ("msrc-zss-near", "recipe", "base", "seen", "at least", 65),
    ("msrc-zps", "recipe", "base", "seen", "at least", 54),
    ("msrc-zps-near", "recipe", "base", "seen", "at least", 58),
    ("camvid-zss", "recipe", "base", "seen", "at least", 40),
    ("msrc-zss", "random", "transductive-best-increment", "unseen", "at most", 3),
    ("msrc-zps", "random", "transductive-best-increment", "unseen", "at most", 3),
)

Runs = dict[str, dict[int, dict[str, Any]]]  # figures by variant and seed


def measure_of(recipe: str) -> str:
    """The name of the recipe's main measure in tables."""
    return TITLES[task_of(load_recipe(recipe)).measure]


def values(runs: Runs, variant: str, row: str, key: str) -> list[float]:
    """A figure of a row for each seed of a variant; one without a value is 0: no pixel of such a class was found."""
    return [figures["rows"][row][key] or 0.0 for _, figures in sorted(runs[variant].items())]


def recipe_table(recipe: str, runs: Runs) -> Table:
    """The table of a recipe: mean and spread over the seeds, and the interval over images of a run."""
    title = measure_of(recipe)
    columns = [
        Column("row", "model"),
        *(Column(group, f"{letter}{title} %") for group, letter in _GROUPS.items()),
        Column("interval", f"h{title} % from - to"),
        Column("seeds", "seeds", "count"),
    ]
    cells = []
    for variant, row, name in ROWS:
        if variant not in runs or any(row not in figures["rows"] for figures in runs[variant].values()):
            continue
        ends = [mean(values(runs, variant, row, f"harmonic_{end}")) for end in ("low", "high")]
        cells.append(
            {
                "row": name,
                **{group: with_spread(values(runs, variant, row, group)) for group in _GROUPS},
                "interval": " - ".join(shown(end, "percent") for end in ends),
                "seeds": len(runs[variant]),
            }
        )
    return Table(f"{recipe}", columns, cells, comparisons(runs, f"h{title}"))


def comparisons(runs: Runs, title: str) -> list[str]:
    """One sentence for each comparison with the better of the two controls, which is selected on validation images."""
    controls = {row: values(runs, "recipe", row, "harmonic") for row in _CONTROLS}
    seeds = sorted(runs["recipe"])
    better = [max(found[i] for found in controls.values()) for i in range(len(seeds))]
    found = []
    for variant, row, name in ROWS:
        if not row.startswith("transductive") or variant == "random" or sorted(runs.get(variant, {})) != seeds:
            continue
        found.append(compared(name, values(runs, variant, row, "harmonic"), "the better control", better, title))
    return found


def neighbour_table(recipe: str, runs: Runs) -> Table:
    """What each unseen class gained and its nearest seen class lost, as means over the seeds of the recipe."""
    gathered: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for figures in runs["recipe"].values():
        for row in figures["neighbours"]:
            gathered[row["unseen"], row["seen"]].append(row)
    keys = ("unseen_before", "unseen_after", "seen_before", "seen_after")
    rows = [
        {"unseen": unseen, "seen": seen, **{key: mean(row[key] or 0.0 for row in found) for key in keys}}
        for (unseen, seen), found in gathered.items()
    ]
    note = "Base: without an increment. After: fine-tuned with the generator as published, without an increment."
    return Table(f"{recipe}: unseen classes and their look-alikes", neighbour_columns(measure_of(recipe)), rows, [note])


def target_table(of_recipe: Mapping[str, Runs]) -> Table:
    """The table of targets, with what the seeds so far reached."""
    columns = [
        Column("what", "figure"),
        Column("target", "target"),
        Column("found", "mean of the seeds, %"),
        Column("seeds", "seeds", "count"),
        Column("met", ""),
    ]
    rows = []
    for recipe, variant, row, group, direction, percent in _TARGETS:
        if variant not in of_recipe.get(recipe, {}):
            continue
        runs = of_recipe[recipe]
        found = values(runs, variant, row, group)
        met = 100 * mean(found) >= percent if direction == "at least" else 100 * mean(found) <= percent
        what = f"{recipe}, {'random vectors' if variant == 'random' else row}: {_GROUPS[group]}{measure_of(recipe)}"
        rows.append(
            {
                "what": what,
                "target": f"{direction} {percent}",
                "found": with_spread(found),
                "seeds": len(found),
                "met": "met" if met else "missed",
            }
        )
    return Table("Targets", columns, rows, [])


def grouped(found: Mapping[str, Any]) -> dict[str, Runs]:
    """The figures by recipe, variant and seed."""
    of_recipe: dict[str, Runs] = defaultdict(lambda: defaultdict(dict))
    for name, figures in found.items():
        recipe, variant, seed = name.split("/")
        of_recipe[recipe][variant][int(seed)] = figures
    return of_recipe


def _facts(of_recipe: Mapping[str, Runs]) -> Sequence[str]:
    every = [figures for runs in of_recipe.values() for of_seed in runs.values() for figures in of_seed.values()]
    versions = every[-1]["versions"]
    texts = ", ".join(f"{name} {versions[name]}" for name in ("scaseg", "python", "torch", "mmdet", "numpy"))
    return [
        f"- {len(every)} runs so far, each on one or two threads, most beside other work. Versions: {texts}.",
        "- ± is the sample standard deviation over the seeds. *From - to* is the interval of 95 % over images of one "
        "run, the mean of the seeds' ends: images are drawn with replacement.",
        "- Snapshots and increments were chosen on selection images; every figure is from the validation images. The "
        "better control is selected on the validation images, which favours it.",
        "- The recipes have the losses as published. *Additions*: reconstruction, mixup, pull 0.3 with k 1, unseen "
        "weight 3, no unseen names in the generator's loss. *Random class vectors*: unit vectors that say nothing of "
        "a class. *No ImageNet weights*: trained from scratch, the backbone at the full learning rate.",
    ]


def page(found: Mapping[str, Any]) -> str:
    """Return the page as Markdown."""
    if not found:
        return "# Photographs: figures\n\nNothing has run yet.\n"
    of_recipe = {recipe: runs for recipe, runs in sorted(grouped(found).items()) if "recipe" in runs}
    parts = [
        "# Photographs: figures\n",
        "`benchmarks/photographs.py` made this page from `photographs.json`, which has each run's figures. "
        "[photographs.md](photographs.md) says what the recipes are.\n",
        *_facts(of_recipe),
        "",
        target_table(of_recipe).to_markdown(),
    ]
    for recipe, runs in of_recipe.items():
        parts += [recipe_table(recipe, runs).to_markdown(), neighbour_table(recipe, runs).to_markdown()]
    return "\n".join(parts)
