"""The provenance of a run: its stages with their seconds, seeds and commits, and the versions of the libraries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaseg_cli.recipe.load import recipe_text
from scaseg_cli.results.table import Column, Table
from scaseg_cli.stages import STAGES

if TYPE_CHECKING:
    from scaseg_cli.comparison.finished_run import FinishedRun

_COMMIT = 10  # characters of a commit that are shown


@dataclass(frozen=True)
class Provenance:
    """The provenance of a run.

    Attributes:
        stages: one row per stage, in order.
        seconds: total seconds of all stages.
        versions: all versions that any stage ran with, by library.
        commits: all commits of scaseg that any stage ran with.
        recipe: the resolved recipe as YAML.
    """

    stages: Table
    seconds: float
    versions: dict[str, list[str]]
    commits: list[str]
    recipe: str

    def as_json_value(self) -> dict[str, Any]:
        """Return everything except the recipe, which is in the run folder."""
        shown = {"seconds": self.seconds, "versions": self.versions, "commits": self.commits}
        return {"stages": self.stages.as_json_value(), **shown}


def provenance(finished: FinishedRun) -> Provenance:
    """Collect the provenance from the records of the stages that the evaluation was made from."""
    records = {stage: finished.records[stage] for stage in STAGES if stage in finished.records}
    rows = [
        {
            "stage": stage,
            "command": f"scaseg {STAGES[stage].command}",
            "seconds": record["seconds"],
            "seed": record["seed"],
            "where": _where(record),
            "commit": (record.get("commit") or "")[:_COMMIT] or None,
        }
        for stage, record in records.items()
    ]
    columns = [
        Column("stage", "Stage"), Column("command", "Command"), Column("seconds", "Seconds", "number"),
        Column("seed", "Seed", "count"), Column("where", "On"), Column("commit", "Commit"),
    ]  # fmt: skip
    versions: dict[str, list[str]] = {}
    for record in records.values():
        for name, version in record.get("versions", {}).items():
            if version not in versions.setdefault(name, []):
                versions[name].append(version)
    commits = list(dict.fromkeys(record["commit"] for record in records.values() if record.get("commit")))
    seconds = round(sum(record["seconds"] for record in records.values()), 2)
    return Provenance(Table("Stages", columns, rows), seconds, versions, commits, recipe_text(finished.recipe))


def _where(record: dict[str, Any]) -> str:
    gpus, processes, nodes = (record.get(key, 1) for key in ("gpus", "processes", "nodes"))
    number, what = (gpus, "GPU") if gpus else (processes, "CPU process")
    one = f"{number} {what}{'' if number == 1 else 'es' if not gpus else 's'}"
    return one if nodes == 1 else f"{nodes} machines, {one} each"
