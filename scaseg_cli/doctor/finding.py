"""The findings of `scaseg doctor`, and their table and JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from scaseg_cli.results.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

State = Literal["ready", "warning", "missing"]


@dataclass(frozen=True)
class Finding:
    """The state of one requirement of a run.

    Attributes:
        what: the requirement.
        state: ``missing``: the run cannot start; ``warning``: it can, with a restriction; ``ready``.
        found: what was found.
        mend: the commands, paths or keys that fix it, one per line; None if there is nothing to do.
    """

    what: str
    state: State
    found: str
    mend: str | None = None


def ready(what: str, found: str) -> Finding:
    """A finding without a problem."""
    return Finding(what, "ready", found)


def warning(what: str, found: str, mend: str) -> Finding:
    """A problem with which the run can start."""
    return Finding(what, "warning", found, mend)


def missing(what: str, found: str, mend: str) -> Finding:
    """A problem with which the run cannot start."""
    return Finding(what, "missing", found, mend)


def can_start(rows: Iterable[Finding]) -> bool:
    """Whether no finding is ``missing``."""
    return all(finding.state != "missing" for finding in rows)


def as_json_value(name: str, rows: list[Finding]) -> dict[str, Any]:
    """The findings as a JSON value."""
    return {"recipe": name, "can_start": can_start(rows), "rows": [asdict(finding) for finding in rows]}


def as_table(name: str, rows: list[Finding]) -> Table:
    """The findings as a table, with the fixes as numbered notes below it, from where they can be copied."""
    numbers: dict[str, int] = {}
    for finding in rows:
        if finding.mend is not None:
            numbers.setdefault(finding.mend, len(numbers) + 1)
    columns = [
        Column("what", "what"),
        Column("state", "state"),
        Column("found", "found"),
        Column("mend", "how to fix it"),
    ]
    cells = [
        {
            "what": finding.what,
            "state": finding.state,
            "found": finding.found,
            "mend": f"see {numbers[finding.mend]}" if finding.mend is not None else "",
            "_style": "bold" if finding.state == "missing" else None,
        }
        for finding in rows
    ]
    notes = [f"{number}  " + mend.replace("\n", "\n   ") for mend, number in numbers.items()]
    return Table(f"{name}: {_verdict(rows)}", columns, cells, notes)


def _verdict(rows: list[Finding]) -> str:
    lacking = sum(finding.state == "missing" for finding in rows)
    warnings = sum(finding.state == "warning" for finding in rows)
    verdict = f"{lacking} missing" if lacking else "ready to run"
    return f"{verdict}, {warnings} warning{'' if warnings == 1 else 's'}" if warnings else verdict
