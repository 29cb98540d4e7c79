"""Make the page of the embedded world's benchmark from its records: tables, and sentences generated from them.

The same rule words every comparison, whichever way it comes out. Figures are fractions until they are formatted.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from scaseg_cli.errors import ScasegError
from scaseg_cli.measures.measure import TITLES as MAIN_TITLES
from scaseg_cli.results.table import Column, Table, shown
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaseg_cli.recipe.schema import Recipe

GROUPS = {"seen": "s", "unseen": "u", "harmonic": "h"}
TITLES = {
    "recipe": "the recipe",
    "no-pull": "without the pull",
    "published": "generator as published",
    "published-150": "generator as published, n_u = 150",
    "ridge": "ridge Gaussian",
    "ridge-no-pull": "ridge Gaussian without the pull",
    "no-v2c": "without V2C",
    "longer": "longer base training",
}
OTHER_BASE = ("no-v2c", "longer")  # variants with a base model of their own
MODELS = {
    "base": "inductive, no increment",
    "inductive": "inductive, increment as in the recipe",
    "base-best-increment": "base, best increment",
    "control": "control, no increment",
    "control-best-increment": "control, best increment",
    "transductive": "transductive, no increment",
    "transductive-best-increment": "transductive, best increment",
}
CONTROLS = ("base-best-increment", "control", "control-best-increment")
TUNED = ("transductive", "transductive-best-increment")


@dataclass(frozen=True)
class Row:
    """A row of a result table: the model ``name`` from the evaluation of ``variant``."""

    variant: str
    name: str

    @property
    def title(self) -> str:
        """The row's title in tables; the variant is named only if it is not the recipe itself."""
        model = MODELS[self.name]
        return model if self.variant == "recipe" else f"{TITLES[self.variant]}: {model}"


@dataclass
class Results:
    """The records of all runs.

    Attributes:
        measure: the task's main measure, a key of `TITLES` in `measures.measure`.
        seeds: the seeds, in the order they were added.
        keys: the evaluation's stage key of each variant with the first seed; equal keys mean equal runs.
        records: the record of each stage, by variant and seed.
    """

    measure: str = "pq"
    seeds: list[int] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    records: dict[tuple[str, int], Mapping[str, dict[str, Any]]] = field(default_factory=dict)

    def add(self, variant: str, seed: int, key: str, records: Mapping[str, dict[str, Any]]) -> None:
        """Add the records of a finished run."""
        if seed not in self.seeds:
            self.seeds.append(seed)
        self.keys.setdefault(variant, key)
        self.records[variant, seed] = records

    def of(self, row: Row, group: str = "harmonic") -> list[float]:
        """The measure of ``row`` for each seed, over the classes of ``group``.

        Raises:
            ScasegError: the measure is undefined because the validation images lack the classes.
        """
        found = [
            self.records[row.variant, seed]["evaluation"]["summary"][row.name][group][self.measure]
            for seed in self.seeds
        ]
        if None in found:
            raise ScasegError("the validation images lack seen or unseen classes", "Use more validation images.")
        return found

    @property
    def title(self) -> str:
        """The name of the harmonic mean in tables, such as hPQ."""
        return f"h{MAIN_TITLES[self.measure]}"

    def better_control(self) -> list[tuple[str, float]]:
        """The control that is best on the validation images, for each seed. Selecting it there favours the control."""
        controls = {name: self.of(Row("recipe", name)) for name in CONTROLS}
        best = [max(controls, key=lambda name, i=i: controls[name][i]) for i in range(len(self.seeds))]  # type: ignore[misc]
        return [(name, controls[name][i]) for i, name in enumerate(best)]


def with_spread(values: list[float]) -> str:
    """Format the mean and the sample standard deviation in percent; a single value has no standard deviation."""
    text = shown(mean(values), "percent")
    return text if len(values) < 2 else f"{text} ± {shown(stdev(values), 'percent')}"


def compared(name: str, values: list[float], other: str, others: list[float], title: str) -> str:
    """Compare ``values`` with ``others``, both of the measure ``title`` per seed, in one sentence."""
    differences = [100 * (x - y) for x, y in zip(values, others, strict=True)]
    counts = {
        "above": sum(d > 0 for d in differences),
        "below": sum(d < 0 for d in differences),
        "equal to": sum(d == 0 for d in differences),
    }
    said = [f"{word} in {count}" for word, count in counts.items() if count]
    said = [text.replace(" in ", f" *{other}* in " if i == 0 else " it in ") for i, text in enumerate(said)]
    text = f"*{name[:1].upper()}{name[1:]}* is {' and '.join(said)} of {len(differences)} seeds; "
    text += f"the {'mean ' if len(differences) > 1 else ''}difference in {title} is {mean(differences):+.1f} points"
    if len(differences) > 1:
        text += f" ({min(differences):+.1f} to {max(differences):+.1f})"
    agree = not (counts["above"] and counts["below"])
    return f"{text}." if agree else f"{text}. The seeds disagree, so neither is shown to be better."


def result_table(results: Results, title: str, rows: list[Row], pairs: list[tuple[Row, Row]]) -> Table:
    """Table of the mean and spread of each row, with a sentence below it for each pair."""
    columns = [
        Column("row", "model"),
        *(Column(group, f"{letter}{MAIN_TITLES[results.measure]} %") for group, letter in GROUPS.items()),
    ]
    cells = [
        {"row": row.title, **{group: with_spread(results.of(row, group)) for group in GROUPS}, **_bold(row)}
        for row in rows
    ]
    notes = [compared(one.title, results.of(one), two.title, results.of(two), results.title) for one, two in pairs]
    return Table(title, columns, cells, notes)


def _bold(row: Row) -> dict[str, str]:
    return {"_style": "bold"} if row.variant == "recipe" and row.name in TUNED else {}


def _variant_table(results: Results, title: str, *variants: str, against_control: bool = False) -> Table:
    """Table that compares variants of stages 2 and 3 with the recipe, with and without an increment."""
    rows = [Row(variant, name) for variant in ("recipe", *variants) for name in TUNED]
    pairs = [(Row("recipe", row.name), row) for row in rows[len(TUNED) :]]
    if against_control:
        control = Row("recipe", "control-best-increment")
        pairs += [(Row(variant, TUNED[1]), control) for variant in variants]
    return result_table(results, title, rows, pairs)


def result_tables(results: Results) -> list[Table]:
    """The tables of means over the seeds, one per question."""

    def row(name: str) -> Row:
        return Row("recipe", name)

    plain, tuned = map(row, TUNED)
    pairs = [(plain, row("inductive")), (plain, row("control")), (tuned, row("control-best-increment"))]
    v2c = [Row(variant, name) for name in MODELS if name != "control" for variant in ("recipe", "no-v2c")]
    v2c_pairs = [(Row("recipe", name), Row("no-v2c", name)) for name in ("base", "inductive", CONTROLS[0], *TUNED)]
    longer = [Row("longer", name) for name in MODELS]
    longer_pairs = [
        (Row("longer", TUNED[0]), plain),
        (Row("longer", TUNED[0]), Row("longer", "inductive")),
        (Row("longer", TUNED[1]), Row("longer", "control-best-increment")),
    ]
    tables = [result_table(results, "The method and its controls", [row(name) for name in MODELS], pairs)]
    for title, variants, against_control in (
        ("Effect of the pull", ["no-pull"], False),
        ("The generator as published", ["published", "published-150"], True),
        ("The ridge Gaussian instead of the VAE", ["ridge", "ridge-no-pull"], False),
    ):
        there = [variant for variant in variants if variant in results.keys]
        if there:
            tables.append(_variant_table(results, title, *there, against_control=against_control))
    if "no-v2c" in results.keys:
        tables.append(result_table(results, "With and without V2C", v2c, v2c_pairs))
    if "longer" in results.keys:
        tables.append(result_table(results, "A longer base training", longer, longer_pairs))
    return tables


def gain_table(results: Results) -> Table:
    """Table of the gain over the better control and the ratio of transductive to inductive, for each seed."""
    controls = results.better_control()
    inductive = results.of(Row("recipe", "inductive"))
    plain, tuned = (results.of(Row("recipe", name)) for name in TUNED)
    rows: list[dict[str, Any]] = []
    for i, seed in enumerate(results.seeds):
        name, control = controls[i]
        ratio = plain[i] / inductive[i] if inductive[i] else None
        rows.append(
            {"seed": str(seed), "which": MODELS[name], "control": control, "inductive": inductive[i], "ratio": ratio}
            | {"plain": plain[i], "gain": plain[i] - control, "tuned": tuned[i], "tuned_gain": tuned[i] - control}
        )
    columns = [
        Column("seed", "seed"),
        Column("which", "better control"),
        Column("control", f"its {results.title}", "percent"),
        Column("plain", f"transductive {results.title}", "percent"),
        Column("gain", "gain", "percent"),
        Column("tuned", "at best increment", "percent"),
        Column("tuned_gain", "gain", "percent"),
        Column("inductive", f"inductive {results.title}", "percent"),
        Column("ratio", "transductive / inductive", "number"),
    ]
    means = {c.key: mean(row[c.key] for row in rows) for c in columns[2:] if None not in [row[c.key] for row in rows]}
    rows.append({"seed": "mean", **means, "_style": "bold"})
    better = [control for _, control in controls]
    notes = [
        compared(MODELS[name], values, "the better control", better, results.title)
        for name, values in zip(TUNED, (plain, tuned), strict=True)
    ]
    ratios = [row["ratio"] for row in rows[:-1]]
    above = sum(ratio is not None and ratio > 1 for ratio in ratios)
    notes.append(
        f"The ratio of transductive to inductive {results.title} is above 1 in {above} of {len(ratios)} seeds."
    )
    notes.append("The better control is selected on the validation images for each seed, which favours the control.")
    return Table("Gain over the better control, and ratio to inductive", columns, rows, notes)


def seed_table(results: Results) -> Table:
    """Table of the measure of each row and seed, the values behind the means."""
    columns = [Column("row", "model"), *(Column(str(seed), f"seed {seed}", "percent") for seed in results.seeds)]
    rows = [Row("recipe", name) for name in MODELS]
    there = [variant for variant in TITLES if variant in results.keys and variant != "recipe"]
    rows += [Row(variant, name) for variant in there if variant not in OTHER_BASE for name in TUNED]
    rows += [Row(variant, name) for variant in there if variant in OTHER_BASE for name in MODELS]
    cells: list[dict[str, Any]] = []
    for row in rows:
        values = dict(zip(map(str, results.seeds), results.of(row), strict=True))
        cells.append({"row": row.title, **values, **_bold(row)})
    best = [max(cells, key=lambda cell, seed=str(seed): cell[seed])["row"] for seed in results.seeds]  # type: ignore[misc]
    note = "Highest: " + "; ".join(f"*{title}* in seed {seed}" for seed, title in zip(results.seeds, best, strict=True))
    return Table(f"{results.title} of each seed", columns, cells, [note + "."])


def time_table(results: Results, jobs: int) -> Table:
    """Table of the mean seconds of each stage in the runs of the unchanged recipe; ``jobs`` runs were concurrent."""
    records = [results.records["recipe", seed] for seed in results.seeds]
    means = {stage: mean(record[stage]["seconds"] for record in records) for stage in records[0]}
    rows: list[dict[str, Any]] = [{"stage": stage, "seconds": seconds} for stage, seconds in means.items()]
    total = sum(means.values())
    rows.append({"stage": "all", "seconds": total, "_style": "bold"})
    longest = max(means, key=lambda stage: means[stage])
    note = f"The longest stage is {longest}, with {shown(means[longest] / total, 'percent')} % of the time. "
    note += "Other runs were running at the same time. " if jobs > 1 else ""
    note += "For an interrupted stage, the time counts from the resume."
    return Table(
        "Seconds of each stage", [Column("stage", "stage"), Column("seconds", "seconds", "number")], rows, [note]
    )


def _runs_table(results: Results, variants: Mapping[str, tuple[str, ...]]) -> Table:
    rows = []
    for variant, changes in variants.items():
        text = ", ".join(f"`{change}`" for change in changes) or "none"
        same = next(other for other in variants if results.keys[other] == results.keys[variant])
        rows.append({"run": TITLES[variant], "changes": text if same == variant else f"{text}: same as {TITLES[same]}"})
    return Table("Runs per seed", [Column("run", "run"), Column("changes", "changes to the recipe")], rows)


def _facts(results: Results, recipe: Recipe, jobs: int) -> list[str]:
    """The facts about the runs and the machine, as sentences."""
    records = next(iter(results.records.values()))
    split, found = records["split"]["summary"], records["evaluation"]["versions"]
    versions = ", ".join(f"{name} {found[name]}" for name in ("scaseg", "python", "torch", "mmdet", "numpy"))
    increment = f"{recipe.evaluation.inductive_increment:+g}"
    kept = " with unseen pixels ignored" if task_of(recipe).keeps_unseen else " without unseen classes"
    return [
        f"Recipe `{recipe.name}`: {split['num_seen']} seen and {split['num_unseen']} unseen classes; {split['train']} "
        f"training images{kept}, {split['selection']} selection and {split['validation']} validation "
        f"images; {recipe.base.iterations} iterations of the base model, {recipe.cat.iterations} of the generator, "
        f"{recipe.union.iterations} of the fine-tuning.",
        "The seed changes all random draws in training. The images and the two small pre-trained networks are the same "
        "for all seeds.",
        f"Machine: {os.cpu_count()} CPU cores; GPUs used: {recipe.gpus}; CPU threads per run: {recipe.threads or 1}; "
        f"concurrent runs: {jobs}. Versions: {versions}.",
        "**Snapshots and best increments were selected on the selection images; every figure is from the validation "
        "images.**",
        f"The recipe's increment in the inductive setting is {increment}. *Base* is the model of stage 1. *Control* is "
        "fine-tuned in the same way without generated embeddings.",
        f"± is the sample standard deviation over {len(results.seeds)} seeds."
        if len(results.seeds) > 1
        else "There is only one seed, so there is no spread.",
    ]


def page(results: Results, recipe: Recipe, variants: Mapping[str, tuple[str, ...]], command: str, jobs: int) -> str:
    """Return the whole page as Markdown."""
    parts = [
        f"# The embedded world, {task_of(recipe).title}: benchmark\n",
        "`benchmarks/shapes.py` generated this page. The sentences below a table are generated from its figures.\n",
        f"## What was run\n\n```\n{command}\n```\n",
        *(f"- {fact}" for fact in _facts(results, recipe, jobs)),
        "\n" + _runs_table(results, variants).to_markdown(),
        "## Results\n",
        *(table.to_markdown() for table in (*result_tables(results), gain_table(results), seed_table(results))),
        "## Time\n",
        time_table(results, jobs).to_markdown(),
    ]
    return "\n".join(parts)
