"""The ablations in a run folder: tables, the direction of effects, and plots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaseg_cli.results.table import Table, read_table

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.run_dir import RunDir


@dataclass(frozen=True)
class AblationResult:
    """The results of one ablation.

    Attributes:
        name: name of its folder.
        results: our figures beside the published ones.
        effects: the direction of each effect; None if the ablation has no such table.
        plot: SVG text of its plot; None if the file is missing.
    """

    name: str
    results: Table
    effects: Table | None
    plot: str | None

    def as_json_value(self) -> dict[str, Any]:
        """Return both tables for JSON."""
        effects = self.effects.as_json_value() if self.effects is not None else None
        return {"results": self.results.as_json_value(), "effects": effects}


def read_ablations(run: RunDir) -> list[AblationResult]:
    """Read the ablations that have a result table, sorted by name.

    Raises:
        ScasegError: a table is damaged.
    """
    found = sorted((run.path / "ablations").glob("*/results.json"))
    return [_read(path.parent) for path in found if path.parent.name != "stages"]


def _read(folder: Path) -> AblationResult:
    effects, plot = folder / "effects.json", folder / "plot.svg"
    return AblationResult(
        folder.name,
        read_table(folder / "results.json"),
        read_table(effects) if effects.is_file() else None,
        plot.read_text(encoding="utf-8") if plot.is_file() else None,
    )
