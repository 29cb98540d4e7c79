"""The table of an ablation: our figures beside the published ones, and the change against the unchanged recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaseg_cli.ablations.published import GROUPS, LABEL
from scaseg_cli.comparison.spread import mean_of, spread_of
from scaseg_cli.measures.measure import LETTERS
from scaseg_cli.results.table import Column, Table

if TYPE_CHECKING:
    from scaseg_cli.ablations.figures import Figures
    from scaseg_cli.ablations.rows import AblationRow
    from scaseg_cli.tasks import Setting

_PUBLISHED = LABEL.replace(" ", "\n")  # for narrow column titles


def result_table(figures: Figures) -> Table:
    """Create the table: one line per row and setting, with mean and spread over the seeds."""
    table = Table(f"{figures.ablation.name}: {figures.ablation.sweep.title}", _columns(figures))
    for setting in figures.ablation.settings:
        rows = [_line(figures, row, setting) for row in figures.ablation.rows if setting in row.settings]
        mark_best(rows, table.columns)
        if setting != figures.ablation.settings[-1]:
            rows[-1]["_section"] = True
        table.rows += rows
    table.notes += _notes(figures)
    return table


def _keys(figures: Figures) -> dict[str, str]:
    """The key of our column for each group of classes."""
    return {group: f"{LETTERS[group]}{figures.measure}" for group in GROUPS}


def _columns(figures: Figures) -> list[Column]:
    keys = _keys(figures)
    columns = [Column("setting", "setting"), Column("row", ", ".join(figures.ablation.sweep.varies or ["row"]))]
    columns += [
        Column(key, f"ours\n{figures.title(group)}", "percent", spread=f"{key}_spread") for group, key in keys.items()
    ]
    change = f"{keys['harmonic']}_change"
    columns.append(Column(change, "ours\nchange", "points", spread=f"{change}_spread"))
    if figures.ablation.published is not None:
        columns += [
            Column(f"published_{key}", f"{_PUBLISHED} {figures.title(group)}", "percent", is_detail=group != "harmonic")
            for group, key in keys.items()
        ]
        columns.append(Column(f"published_{change}", f"{_PUBLISHED} change", "points", is_detail=True))
    if figures.failures:
        columns.append(Column("seeds", "seeds"))
    return columns


def _line(figures: Figures, row: AblationRow, setting: Setting) -> dict[str, Any]:
    keys, published = _keys(figures), figures.ablation.published
    line: dict[str, Any] = {"setting": setting, "row": row.label}
    for group, key in keys.items():
        values = list(figures.of(row.label, setting, group).values())
        line |= {key: mean_of(values), f"{key}_spread": spread_of(values)}
        if published is not None:
            line[f"published_{key}"] = published.figure(row.label, setting, group)
    change = f"{keys['harmonic']}_change"
    if not row.is_default:
        differences = figures.difference(row.label, figures.default(setting).label, setting)
        line |= {change: mean_of(differences), f"{change}_spread": spread_of(differences)}
    if published is not None and row.label != published.default:
        one, two = (published.figure(label, setting, "harmonic") for label in (row.label, published.default))
        line[f"published_{change}"] = None if one is None or two is None else one - two
    if figures.failures:
        done = len(figures.of(row.label, setting, "harmonic"))
        line["seeds"] = f"{done} of {len(figures.ablation.seeds)}" if done else "failed"
    return line


def mark_best(rows: list[dict[str, Any]], columns: list[Column]) -> None:
    """Mark the highest figure of each column as best, unless all figures of the column are equal."""
    for column in columns:
        values = [row[column.key] for row in rows if row.get(column.key) is not None]
        if column.kind != "percent" or len(set(values)) < 2:
            continue
        for row in rows:
            if row.get(column.key) == max(values):
                row.setdefault("_best", set()).add(column.key)


def _notes(figures: Figures) -> list[str]:
    ablation = figures.ablation
    recipe = next(iter(ablation.rows[0].recipes.values()))
    seeds = ", ".join(map(str, ablation.seeds))
    several = "s" if len(ablation.seeds) > 1 else ""
    spread = "; ± is the sample standard deviation" if len(ablation.seeds) > 1 else ""
    own = {setting: figures.default(setting).label for setting in ablation.settings}
    same = len(set(own.values())) == 1
    where = next(iter(own.values())) if same else "; ".join(f"{setting}: {label}" for setting, label in own.items())
    notes = [
        f"Recipe {recipe.name}, seed{several} {seeds}{spread}. Change: of {figures.title('harmonic')}, in points, "
        f"against the recipe as it is ({where}). Bold: the highest of its setting."
    ]
    published = ablation.published
    if published is not None:
        notes.append(
            f"Published: Table {published.number} of the supplement, measured on COCO; change against its own setting "
            f"({published.default})."
        )
    for (label, seed), failure in figures.failures.items():
        notes.append(f"Failed: {label}, seed {seed}: {failure.reason} (log: {failure.log})")
    return notes
