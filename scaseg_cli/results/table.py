"""One table, many outputs: JSON and CSV for programs, Markdown and the console for people.

Rows hold fractions, full precision. Per cent and rounding are made only where a person reads: Markdown, console.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from scaseg_cli.files import write_json, write_text

Kind = Literal["text", "count", "percent", "number", "flag"]
MISSING = "-"
_MARKS = {"_style", "_section"}


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: where rows keep its value, and its name in JSON and CSV.
        title: what a person reads above it.
        kind: "text"; "count", a whole number; "percent", a fraction shown times 100 with one decimal; "number",
            shown with three significant digits; "flag", shown as yes or no.
        is_detail: left out on a terminal that is too narrow for the whole table.
    """

    key: str
    title: str
    kind: Kind = "text"
    is_detail: bool = False

    @property
    def is_numeric(self) -> bool:
        """Whether the column is set flush right."""
        return self.kind in ("count", "percent", "number")

    def as_json_value(self) -> dict[str, Any]:
        """What `Column` takes."""
        detail = {"is_detail": True} if self.is_detail else {}
        return {"key": self.key, "title": self.title, "kind": self.kind, **detail}


@dataclass
class Table:
    """Rows under columns.

    Attributes:
        title: what the table shows.
        columns: from left to right.
        rows: values by column key. A missing key, None and NaN all mean "no value". "_style" ("bold" or "dim") and
            "_section" (True: a rule below the row) say how a person sees it.
        notes: sentences printed below.

    Raises:
        ValueError: a row has a key that no column shows.
    """

    title: str
    columns: list[Column]
    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._check()

    def _check(self) -> None:
        known = {column.key for column in self.columns} | _MARKS
        for row in self.rows:
            if stray := set(row) - known:
                raise ValueError(f"table {self.title!r} has no column for {sorted(stray)}")

    def as_json_value(self) -> dict[str, Any]:
        """The table for JSON: fractions as they are, NaN and missing values as None."""
        self._check()
        return {
            "title": self.title,
            "columns": [column.as_json_value() for column in self.columns],
            "rows": [{column.key: json_value(row.get(column.key)) for column in self.columns} for row in self.rows],
            "notes": list(self.notes),
        }

    def shown_rows(self) -> list[list[str]]:
        """The cells as a person reads them."""
        self._check()
        return [[shown(row.get(column.key), column.kind) for column in self.columns] for row in self.rows]

    def to_csv(self) -> str:
        """The table as CSV: keys above, fractions as they are, an empty cell where there is no value."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([column.key for column in self.columns])
        for row in self.as_json_value()["rows"]:
            writer.writerow([str(cell).lower() if isinstance(cell, bool) else cell for cell in row.values()])
        return text.getvalue()

    def to_markdown(self) -> str:
        """The table as a person reads it, in GitHub's Markdown."""
        lines = [f"### {_markdown(self.title)}", "", _line([_markdown(header(column)) for column in self.columns])]
        lines.append(_line(["---:" if column.is_numeric else "---" for column in self.columns]))
        for row, cells in zip(self.rows, self.shown_rows(), strict=True):
            cells = [_markdown(cell) for cell in cells]
            if row.get("_style") == "bold":
                cells = [f"**{cell}**" if cell else cell for cell in cells]
            lines.append(_line(cells))
        for note in self.notes:
            lines += ["", _markdown(note)]
        return "\n".join(lines) + "\n"


def write(table: Table, folder: Path, stem: str) -> list[Path]:
    """Write ``folder/stem`` as .json, .csv and .md, each in one piece; returns the three paths.

    Raises:
        ScasegError: the folder cannot be written.
    """
    paths = [folder / f"{stem}{suffix}" for suffix in (".json", ".csv", ".md")]
    write_json(paths[0], table.as_json_value())
    write_text(paths[1], table.to_csv())
    write_text(paths[2], table.to_markdown())
    return paths


def header(column: Column) -> str:
    """A column's title, with the unit where it is per cent."""
    return f"{column.title} %" if column.kind == "percent" else column.title


def shown(value: Any, kind: Kind) -> str:
    """One value as a person reads it; "-" where there is none."""
    value = json_value(value)
    if value is None:
        return MISSING
    match kind:
        case "percent":
            return f"{100 * value:.1f}"
        case "number":
            return _three_digits(value)
        case "count":
            return f"{round(value)}"
        case "flag":
            return "yes" if value else "no"
        case _:
            return str(value)


def json_value(value: Any) -> Any:
    """``value`` with only JSON's types in it: NumPy's numbers and arrays as Python's, NaN and infinities as None."""
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy's; this package must not import it, since the command line loads this one
        return json_value(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _three_digits(value: float) -> str:
    if isinstance(value, int) or value == 0:
        return str(value) if isinstance(value, int) else "0"
    exponential = f"{value:.2e}"
    power = int(exponential.partition("e")[2])  # of the rounded value: 9.996 is 10.0
    if not -4 <= power < 7:
        return exponential
    return f"{value:.{max(0, 2 - power)}f}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())
