"""Tables with several outputs: JSON and CSV for programs, Markdown, LaTeX and the console for users.

Rows contain fractions in full precision. Only the outputs for users show per cent and rounded values.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import read_own_json, write_json, write_text

Kind = Literal["text", "count", "percent", "points", "number", "flag"]
MISSING = "-"
_MARKS = {"_style", "_section", "_best"}
_LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",  # LaTeX's default font has other signs in the places of these three
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "Δ": r"$\Delta$",
    }
)


@dataclass(frozen=True)
class Column:
    """A column of a `Table`.

    Attributes:
        key: the key of its value in rows, JSON and CSV.
        title: the displayed header.
        kind: "text"; "count", a whole number; "percent", a fraction shown times 100 with one decimal; "points", a
            difference of fractions, shown in the same way with a sign; "number", shown with three significant digits;
            "flag", shown as yes or no.
        is_detail: omitted on a terminal that is too narrow for the whole table.
        spread: the key of the value's spread, which is displayed after the value and has its own column in CSV.
    """

    key: str
    title: str
    kind: Kind = "text"
    is_detail: bool = False
    spread: str | None = None

    @property
    def is_numeric(self) -> bool:
        """Whether the column is right-aligned."""
        return self.kind in ("count", "percent", "points", "number")

    @property
    def keys(self) -> list[str]:
        """The keys of the column's value and, if there is one, its spread."""
        return [self.key] if self.spread is None else [self.key, self.spread]

    def as_json_value(self) -> dict[str, Any]:
        """The arguments of `Column` as a JSON value."""
        value: dict[str, Any] = {"key": self.key, "title": self.title, "kind": self.kind}
        value |= {"is_detail": True} if self.is_detail else {}
        return value | ({"spread": self.spread} if self.spread is not None else {})

    def shown(self, row: Mapping[str, Any]) -> str:
        """The displayed cell of ``row``."""
        text = shown(row.get(self.key), self.kind)
        spread = json_value(row.get(self.spread)) if self.spread is not None else None
        if spread is None or text == MISSING:
            return text
        return f"{text} ± {shown(spread, 'percent' if self.kind == 'points' else self.kind)}"


class _StoredColumn(TypedDict):
    key: str
    title: str
    kind: Kind
    is_detail: NotRequired[bool]
    spread: NotRequired[str]


class _StoredTable(TypedDict):
    title: str
    columns: list[_StoredColumn]
    rows: list[dict[str, str | bool | int | float | None]]
    notes: list[str]
    key: NotRequired[str]


@dataclass
class Table:
    """A table of rows and typed columns.

    Attributes:
        title: the displayed title.
        columns: from left to right.
        rows: values by column key. A missing key, None and NaN all mean "no value". "_style" ("bold" or "dim"),
            "_section" (True: a rule below the row) and "_best" (keys of highlighted cells) set how a row is displayed.
        notes: sentences below the table.
        key: a hash of the recipe that made it, for a table that outlives the recipe; None: it has none.

    Raises:
        ValueError: a row has a key that no column shows.
    """

    title: str
    columns: list[Column]
    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    key: str | None = None

    def __post_init__(self) -> None:
        self._check()

    def _check(self) -> None:
        known = {key for column in self.columns for key in column.keys} | _MARKS
        for row in self.rows:
            if stray := set(row) - known:
                raise ValueError(f"table {self.title!r} has no column for {sorted(stray)}")

    def as_json_value(self) -> dict[str, Any]:
        """The table as a JSON value, with fractions, and None for NaN and missing values."""
        self._check()
        return {
            "title": self.title,
            "columns": [column.as_json_value() for column in self.columns],
            "rows": [{key: json_value(row.get(key)) for key in self._keys} for row in self.rows],
            "notes": list(self.notes),
        } | ({"key": self.key} if self.key is not None else {})

    @property
    def _keys(self) -> list[str]:
        return [key for column in self.columns for key in column.keys]

    def shown_rows(self) -> list[list[str]]:
        """The displayed cells."""
        self._check()
        return [[column.shown(row) for column in self.columns] for row in self.rows]

    def bold_cells(self, row: Mapping[str, Any]) -> list[bool]:
        """Whether the cell of ``row`` is highlighted, for each column."""
        return [row.get("_style") == "bold" or column.key in row.get("_best", ()) for column in self.columns]

    def to_csv(self) -> str:
        """The table as CSV: a header of keys, fractions, and empty cells for missing values."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self._keys)
        for row in self.as_json_value()["rows"]:
            writer.writerow([str(cell).lower() if isinstance(cell, bool) else cell for cell in row.values()])
        return text.getvalue()

    def to_markdown(self) -> str:
        """The displayed table in GitHub's Markdown."""
        lines = [f"### {_markdown(self.title)}", "", _line([_markdown(header(column)) for column in self.columns])]
        lines.append(_line(["---:" if column.is_numeric else "---" for column in self.columns]))
        for row, cells in zip(self.rows, self.shown_rows(), strict=True):
            cells = [_markdown(cell) for cell in cells]
            bold = self.bold_cells(row)
            lines.append(_line([f"**{cell}**" if cell and bold[i] else cell for i, cell in enumerate(cells)]))
        for note in self.notes:
            lines += ["", _markdown(note)]
        return "\n".join(lines) + "\n"

    def to_latex(self) -> str:
        """The displayed table in LaTeX, with the package booktabs."""
        alignment = "".join("r" if column.is_numeric else "l" for column in self.columns)
        lines = ["% \\usepackage{booktabs}", r"\begin{table}", r"\centering", rf"\caption{{{_latex(self.title)}}}"]
        lines += [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule"]
        lines += [_latex_line([_latex(header(column)) for column in self.columns]), r"\midrule"]
        for place, (row, cells) in enumerate(zip(self.rows, self.shown_rows(), strict=True)):
            numeric = [column.is_numeric for column in self.columns]
            cells = [_latex_number(cell) if numeric[i] else _latex(cell) for i, cell in enumerate(cells)]
            bold = self.bold_cells(row)
            lines.append(_latex_line([rf"\textbf{{{cell}}}" if bold[i] else cell for i, cell in enumerate(cells)]))
            lines += [r"\midrule"] if row.get("_section") and place + 1 < len(self.rows) else []
        lines += [r"\bottomrule", r"\end{tabular}"]
        lines += [rf"\par\footnotesize {_latex(note)}" for note in self.notes]
        return "\n".join([*lines, r"\end{table}"]) + "\n"


def paths_of(folder: Path, stem: str) -> list[Path]:
    """The paths that `write` writes."""
    return [folder / f"{stem}{suffix}" for suffix in (".json", ".csv", ".md", ".tex")]


def write(table: Table, folder: Path, stem: str) -> list[Path]:
    """Write ``folder/stem`` as .json, .csv, .md and .tex, each atomically; return the paths.

    Raises:
        ScasegError: the folder cannot be written.
    """
    paths = paths_of(folder, stem)
    write_json(paths[0], table.as_json_value())
    for path, text in zip(paths[1:], (table.to_csv(), table.to_markdown(), table.to_latex()), strict=True):
        write_text(path, text)
    return paths


def read_table(path: Path) -> Table:
    """Read a table from the JSON that `write` made of it, which does not contain the rows' styles.

    Raises:
        ScasegError: the file is missing, or not a table that `write` made.
    """
    again = "Run the command that makes this table again."
    stored = read_own_json(path, "the table", _StoredTable, again)
    columns = [Column(**column) for column in stored["columns"]]
    keys = {key for column in columns for key in column.keys}
    for place, row in enumerate(stored["rows"]):
        wrong = next((f"lacks {key!r}" for key in keys if key not in row), None)
        for column in columns if wrong is None else ():
            if not _fits(row[column.key], column) or not isinstance(row.get(column.spread or ""), float | int | None):
                wrong = f"has another type of value for {column.key!r}"
        if wrong is not None or set(row) != keys:
            wrong = wrong or f"has keys without a column: {', '.join(sorted(set(row) - keys))}"
            raise ScasegError(f"the table {path} is not what scaseg wrote: row {place + 1} {wrong}", again)
    return Table(stored["title"], columns, stored["rows"], stored["notes"], stored.get("key"))


def _fits(value: Any, column: Column) -> bool:
    """Whether a stored value is of the column's kind, or none."""
    if value is None or column.kind == "text":
        return True
    return isinstance(value, bool) if column.kind == "flag" else type(value) in (int, float)


def header(column: Column) -> str:
    """The displayed title of a column, with the unit if it is per cent."""
    return f"{column.title} %" if column.kind == "percent" else column.title


def shown(value: Any, kind: Kind) -> str:
    """The displayed form of a value; "-" if there is none."""
    value = json_value(value)
    if value is None:
        return MISSING
    match kind:
        case "percent":
            return f"{100 * value:.1f}"
        case "points":
            return f"{round(100 * value, 1) or 0.0:+.1f}"  # never -0.0
        case "number":
            return _three_digits(value)
        case "count":
            return f"{round(value)}"
        case "flag":
            return "yes" if value else "no"
        case _:
            return str(value)


def json_value(value: Any) -> Any:
    """Convert ``value`` to JSON's types: NumPy's numbers and arrays to Python's, NaN and infinities to None."""
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy; not imported here, to keep the command line quick
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


def _latex(text: str) -> str:
    return " ".join(text.split()).translate(_LATEX)


def _latex_number(text: str) -> str:
    """A number with a minus sign in place of a hyphen."""
    text = _latex(text)
    return f"$-${text[1:]}" if text.startswith("-") and text != MISSING else text


def _latex_line(cells: list[str]) -> str:
    line = " & ".join(cells) + r" \\"
    return "{}" + line if line.startswith(("[", "*")) else line  # which the line break above would take as its own
