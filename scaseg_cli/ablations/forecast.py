"""The forecast of a plan, as tables and as JSON: which stages run, which are shared, and how long they may take."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from scaseg_cli.results.table import Column, Table, json_value
from scaseg_cli.stages import STAGES

if TYPE_CHECKING:
    from scaseg_cli.ablations.plan import Plan


def forecast_tables(plan: Plan) -> list[Table]:
    """Create two tables: the counts of each stage, and the cells with the stages that each of them adds."""
    return [_stage_table(plan), _cell_table(plan)]


def forecast_value(plan: Plan) -> dict[str, Any]:
    """Return the forecast for JSON: the tables' rows, every single stage, and the totals."""
    stages, cells = forecast_tables(plan)
    nodes = [
        {
            "id": node.id,
            "stage": node.stage,
            "state": plan.states[node.id],
            "folder": str(plan.store.run(node).path),
            "cells": [cell.title for cell in plan.cells_of(node.id)],
        }
        for node in plan.nodes.values()
    ]
    tables = {"stages": stages.as_json_value()["rows"], "cells": cells.as_json_value()["rows"]}
    value: dict[str, Any] = json_value({**tables, "nodes": nodes, **totals(plan)})
    return value


def totals(plan: Plan) -> dict[str, Any]:
    """Count the stages: needed, finished, shared with the work folder, to run, and run by a plain loop."""
    states = Counter(plan.states.values())
    return {
        "num_cells": len(plan.cells),
        "num_stages": len(plan.nodes),
        "num_there": states["there"],
        "num_shared": states["shared"],
        "num_run": states["missing"],
        "num_plain": plan.num_plain,
        "seconds": plan.estimate(plan.missing),
    }


def _stage_table(plan: Plan) -> Table:
    rows: list[dict[str, Any]] = []
    for stage in STAGES:
        nodes = [node for node in plan.nodes.values() if node.stage == stage]
        if not nodes:
            continue
        states = Counter(plan.states[node.id] for node in nodes)
        missing = [node for node in nodes if plan.states[node.id] == "missing"]
        seconds = plan.estimate(missing)
        rows.append(
            {"stage": stage, "needed": len(nodes), "there": states["there"], "shared": states["shared"]}
            | {"run": states["missing"], "seconds": seconds}
        )
    total = totals(plan)
    rows[-1]["_section"] = True
    rows.append(
        {"stage": "all", "needed": total["num_stages"], "there": total["num_there"], "shared": total["num_shared"]}
        | {"run": total["num_run"], "seconds": total["seconds"], "_style": "bold"}
    )
    columns = [
        Column("stage", "stage"),
        Column("needed", "needed", "count"),
        Column("there", "there", "count"),
        Column("shared", "shared", "count"),
        Column("run", "to run", "count"),
        Column("seconds", "seconds", "number"),
    ]
    notes = [
        f"{total['num_cells']} cells; a plain loop with a run folder per cell would run {total['num_plain']} "
        f"stages. Shared: with the run in {plan.store.work.path}.",
        "Seconds: upper estimate for a sequential run, from the records of such stages; '-' if none has run yet.",
    ]
    return Table("Stages", columns, rows, notes)


def _cell_table(plan: Plan) -> Table:
    """The cells; each missing stage is listed with the first cell that needs it."""
    rows: list[dict[str, Any]] = []
    taken: set[str] = set()
    for cell in plan.cells:
        missing = [node for node in cell.nodes if plan.states[node] == "missing"]
        own = [node for node in missing if node not in taken]
        taken |= set(own)
        stages = [plan.nodes[node].stage for node in own]
        rows.append(
            {"ablation": cell.ablation, "row": cell.label, "seed": cell.seed, "runs": ", ".join(stages) or None}
            | {"shares": len(cell.nodes) - len(own)}
        )
    columns = [
        Column("ablation", "ablation"),
        Column("row", "row"),
        Column("seed", "seed", "count"),
        Column("runs", "runs"),
        Column("shares", "shares", "count"),
    ]
    return Table("Cells", columns, rows, ["Shares: stages that are finished, or that a cell above runs."])
