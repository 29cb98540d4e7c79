"""What a stage hands back: its tables, its files and the command that comes next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scaseg_cli.results.table import Table, json_value

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class StageReport:
    """The result of one stage.

    Attributes:
        stage: the stage's name.
        tables: what to show, in order.
        wrote: the files that it wrote.
        next_command: the command that comes next, or None at the end.
        summary: single values worth keeping, fractions inside.
    """

    stage: str
    tables: list[Table] = field(default_factory=list)
    wrote: list[Path] = field(default_factory=list)
    next_command: str | None = None
    summary: dict[str, Any] = field(default_factory=dict)

    def as_json_value(self) -> dict[str, Any]:
        """The report for JSON: paths as text, fractions as they are, NaN as None."""
        return {
            "stage": self.stage,
            "tables": [table.as_json_value() for table in self.tables],
            "wrote": [str(path) for path in self.wrote],
            "next_command": self.next_command,
            "summary": json_value(self.summary),
        }
