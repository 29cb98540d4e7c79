"""The table of all ablations: what each varies, from which stage it runs again, and how many cells it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaseg_cli.ablations.ablate import make_ablations
from scaseg_cli.ablations.find import sweep_files
from scaseg_cli.results.table import Column, Table
from scaseg_cli.stages import STAGES, recipe_key, stages_for

if TYPE_CHECKING:
    from scaseg_cli.ablations.cells import Ablation
    from scaseg_cli.recipe.schema import Recipe


def list_table(recipe: Recipe) -> Table:
    """Create the table of all ablations over ``recipe``.

    Raises:
        ScasegError: a sweep file has mistakes.
    """
    rows: list[dict[str, Any]] = []
    for name in sweep_files():
        (ablation,) = make_ablations([name], recipe)
        published = ablation.published
        rows.append(
            {
                "name": name,
                "table": f"Table {published.number}" if published is not None else None,
                "varies": ", ".join(ablation.sweep.keys),
                "rows": "; ".join(ablation.sweep.labels),
                "runs": _runs_again(ablation),
                "cells": len(ablation.rows),
            }
        )
    columns = [
        Column("name", "name"),
        Column("table", "published"),
        Column("varies", "varies"),
        Column("rows", "rows", is_detail=True),
        Column("runs", "runs again"),
        Column("cells", "cells", "count"),
    ]
    return Table(
        "Ablations", columns, rows, [f"Cells: with recipe {recipe.name} and one seed. Runs again: first stage."]
    )


def _runs_again(ablation: Ablation) -> str | None:
    """The first stage in which any row differs from the unchanged recipe; later stages run again as well."""
    default = next(row for row in ablation.rows if row.is_default)
    (seed,) = ablation.seeds
    needed = {stage for row in ablation.rows for stage in stages_for(row.recipes[seed])}
    for stage in (stage for stage in STAGES if stage in needed):
        keys = {recipe_key(row.recipes[seed], stage) for row in ablation.rows}
        if keys != {recipe_key(default.recipes[seed], stage)}:
            return stage
    return None
