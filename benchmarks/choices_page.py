"""Make the page of choices without an unseen label from the figures of their runs.

The same rule words every comparison and every target, whichever way it comes out. Figures are fractions until they are
formatted.
"""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING, Any

from photographs_page import Runs, grouped, measure_of, values
from shapes_page import compared, with_spread

from scaseg_cli.results.table import Column, Table, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

RECIPES = ("shapes-zps", "shapes-zss")
# Of every run: the recipes' value when the first figures were measured, which later ones are compared with.
COMMON = ("base.num_points=1024",)
VARIANTS: dict[str, tuple[str, ...]] = {
    "hand": (),
    "folds": (
        "evaluation.choose_on=seen_folds",
        "union.unseen_pull.beta=auto",
        "union.unseen_weight=auto",
        "cat.noise=auto",
    ),
    "nothing": ("evaluation.choose_on=nothing", "union.unseen_pull.beta=0", "union.unseen_weight=null"),
}
_TITLES = {
    "hand": "the recipe, chosen on unseen labels",
    "folds": "chosen on folds of seen classes",
    "nothing": "nothing chosen, no pull and no unseen weight",
}
_CONTROLS = {
    "base-best-increment": "base with an increment",
    "control": "fine-tuned without generator",
    "control-best-increment": "fine-tuned without generator, with an increment",
}
_GROUPS = {"seen": "s", "unseen": "u", "harmonic": "h"}
_AT_MOST_UNDER, _AT_LEAST_ABOVE = 1.5, 3.0  # points: under the hand-tuned, above the better control


def result_table(recipe: str, runs: Runs) -> Table:
    """The table of a recipe: what was chosen on, by model, as means and spreads over the seeds."""
    title = measure_of(recipe)
    columns = [
        Column("on", "chosen on"),
        Column("row", "model"),
        *(Column(group, f"{letter}{title} %") for group, letter in _GROUPS.items()),
        Column("interval", f"h{title} % from - to"),
        Column("seeds", "seeds", "count"),
    ]
    rows = []
    for variant in (name for name in VARIANTS if name in runs):
        for row, name in {**_CONTROLS, "transductive": "transductive"}.items():
            ends = [mean(values(runs, variant, row, f"harmonic_{end}")) for end in ("low", "high")]
            rows.append(
                {"on": _TITLES[variant], "row": name, "seeds": len(runs[variant])}
                | {group: with_spread(values(runs, variant, row, group)) for group in _GROUPS}
                | {"interval": " - ".join(shown(end, "percent") for end in ends)}
                | ({"_style": "bold"} if row == "transductive" else {})
            )
    return Table(recipe, columns, rows, _verdicts(recipe, runs))


def _verdicts(recipe: str, runs: Runs) -> list[str]:
    """The target, in the seeds that all of its figures have: at most so far under the one, so far above the other."""
    seeds = sorted(set(runs.get("hand", {})) & set(runs.get("folds", {})))
    if not seeds:
        return ["The target needs a seed with both the recipe and the folds."]
    common = {variant: {seed: runs[variant][seed] for seed in seeds} for variant in ("hand", "folds")}
    folds, hand = (values(common, variant, "transductive", "harmonic") for variant in ("folds", "hand"))
    controls = [values(common, variant, row, "harmonic") for variant in common for row in _CONTROLS]
    better = [max(found[i] for found in controls) for i in range(len(seeds))]
    title = f"h{measure_of(recipe)}"
    under, above = 100 * (mean(hand) - mean(folds)), 100 * (mean(folds) - mean(better))
    met = under <= _AT_MOST_UNDER and above >= _AT_LEAST_ABOVE
    return [
        compared("chosen on folds", folds, "the recipe, chosen on unseen labels", hand, title),
        compared("chosen on folds", folds, "the better control", better, title),
        f"Target, mean of {len(seeds)} seeds: at most {_AT_MOST_UNDER} points under the hand-tuned ({under:+.1f}) and "
        f"at least {_AT_LEAST_ABOVE} above the better control ({above:+.1f}): {'met' if met else 'missed'}.",
    ]


def choice_table(recipe: str, runs: Runs) -> Table:
    """What each seed chose on its folds."""
    columns = [
        Column("seed", "seed"),
        Column("beta", "pull", "number"),
        Column("noise", "noise"),
        Column("unseen_weight", "unseen weight", "number"),
        Column("step", "step", "count"),
        Column("increment", "best increment", "number"),
        Column("seconds", "seconds of folds and choice", "number"),
        Column("base", "seconds of the base", "number"),
    ]
    rows = []
    for seed, figures in sorted(runs["folds"].items()):
        chosen, seconds = figures["chosen"], figures["seconds"]
        rows.append(
            {"seed": str(seed), **chosen["values"], "step": chosen["method"]["step"]}
            | {"increment": chosen["method_increment"]["increment"], "base": seconds["base"]}
            | {"seconds": seconds["folds"] + seconds["choose"]}
        )
    return Table(f"{recipe}: what the folds chose", columns, rows, [])


def page(found: Mapping[str, Any]) -> str:
    """Return the page as Markdown."""
    heading = "# Choices without an unseen label\n"
    if not found:
        return f"{heading}\nNothing has run yet.\n"
    of_recipe = dict(sorted(grouped(found).items()))
    versions = next(iter(found.values()))["versions"]
    texts = ", ".join(f"{name} {versions[name]}" for name in ("scaseg", "python", "torch", "mmdet", "numpy"))
    parts = [
        heading,
        "`benchmarks/choices.py` made this page from `choices.json`, which has each run's figures. "
        "[method.md](method.md#choices-without-an-unseen-label) says what the choices are.\n",
        f"- {len(found)} runs so far, each on one thread, with `{' '.join(COMMON)}`. Versions: {texts}.",
        "- ± is the sample standard deviation over the seeds. *From - to* is the interval of 95 % over images of one "
        "run, the mean of the seeds' ends.",
        "- Every figure is from the validation images. No row has CLIP's image tower at test.",
        "- The better control is the best of all controls, those chosen on unseen labels among them, selected on the "
        "validation images for each seed, which favours it.\n",
    ]
    for recipe, runs in of_recipe.items():
        parts.append(result_table(recipe, runs).to_markdown())
        if "folds" in runs:
            parts.append(choice_table(recipe, runs).to_markdown())
    return "\n".join(parts)
