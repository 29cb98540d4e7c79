"""The report that a stage returns."""

import json
from pathlib import Path

from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.results.table import Column, Table


def test_json():
    table = Table("T", [Column("pq", "PQ", "percent")], [{"pq": 0.25}])
    report = StageReport(
        "evaluation", [table], [Path("runs/a/results.json")], "scaseg run", {"hpq": float("nan"), "n": 3}
    )
    assert json.loads(json.dumps(report.as_json_value(), allow_nan=False)) == {
        "stage": "evaluation",
        "tables": [
            {
                "title": "T",
                "columns": [{"key": "pq", "title": "PQ", "kind": "percent"}],
                "rows": [{"pq": 0.25}],
                "notes": [],
            }
        ],
        "wrote": ["runs/a/results.json"],
        "next_command": "scaseg run",
        "summary": {"hpq": None, "n": 3},
    }


def test_reports_do_not_share_their_summary():
    first, second = StageReport("a"), StageReport("b")
    first.summary["x"] = 1
    first.tables.append(Table("T", []))
    assert (second.summary, second.tables, second.wrote, second.next_command) == ({}, [], [], None)
