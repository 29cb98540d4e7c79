"""One finding of the doctor, and all of them as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from scaseg_cli.results.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

State = Literal["ready", "warning", "missing"]


@dataclass(frozen=True)
class Finding:
    """One thing that a run needs.

    Attributes:
        what: the thing, in words.
        state: ``missing``: the run could not start; ``warning``: it could, but somebody should know.
        found: what is there.
        mend: the commands, paths or keys that mend it, one a line; None where nothing is to be done.
    """

    what: str
    state: State
    found: str
    mend: str | None = None


def ready(what: str, found: str) -> Finding:
    """All is well."""
    return Finding(what, "ready", found)


def warning(what: str, found: str, mend: str) -> Finding:
    """The run could start."""
    return Finding(what, "warning", found, mend)


def missing(what: str, found: str, mend: str) -> Finding:
    """The run could not start."""
    return Finding(what, "missing", found, mend)


def can_start(rows: Iterable[Finding]) -> bool:
    """Whether nothing is missing."""
    return all(finding.state != "missing" for finding in rows)


def as_json_value(name: str, rows: list[Finding]) -> dict[str, Any]:
    """The findings for programs."""
    return {"recipe": name, "can_start": can_start(rows), "rows": [asdict(finding) for finding in rows]}


def as_table(name: str, rows: list[Finding]) -> Table:
    """The findings for people: what mends them stands below the table, numbered, so that it can be copied whole."""
    numbers: dict[str, int] = {}
    for finding in rows:
        if finding.mend is not None:
            numbers.setdefault(finding.mend, len(numbers) + 1)
    columns = [Column("what", "what"), Column("state", "state"), Column("found", "found"), Column("mend", "to mend it")]
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
    told = f"{lacking} missing" if lacking else "ready to run"
    return f"{told}, {warnings} warning{'' if warnings == 1 else 's'}" if warnings else told
