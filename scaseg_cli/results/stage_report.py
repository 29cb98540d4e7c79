"""What a stage returns: its tables, its files and the next command."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scaseg_cli.results.table import Table, json_value

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class StageReport:
    """The outcome of one stage.

    Attributes:
        stage: the stage's name.
        tables: the tables to print, in order.
        wrote: the files that it wrote.
        next_command: the command of the next stage; None after the last one.
        summary: single values for the record, with fractions instead of per cent.
    """

    stage: str
    tables: list[Table] = field(default_factory=list)
    wrote: list[Path] = field(default_factory=list)
    next_command: str | None = None
    summary: dict[str, Any] = field(default_factory=dict)

    def as_json_value(self) -> dict[str, Any]:
        """The report as a JSON value, with paths as text and NaN as None."""
        return {
            "stage": self.stage,
            "tables": [table.as_json_value() for table in self.tables],
            "wrote": [str(path) for path in self.wrote],
            "next_command": self.next_command,
            "summary": json_value(self.summary),
        }
