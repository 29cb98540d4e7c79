"""The score of predictions in files, and its tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaseg_cli.measures.measure import LETTERS, Measure
from scaseg_cli.measures.result_table import class_table
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.results.table import Column, Table

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.measures.summary import Summary
    from scaseg_cli.split.classes import ClassList

_TOGETHER = {"all": ("", ""), "things": ("th_", "Th"), "stuff": ("st_", "St")}  # prefixes of a measure's key and title


@dataclass(frozen=True)
class PredictionScore:
    """The score of predictions in files.

    Attributes:
        folder: the folder of the predicted PNGs.
        json_file: the JSON file of panoptic predictions; None for semantic ones.
        measure: the measure over the classes of the labels.
        summary: its means and its values by class, as fractions.
        classes: the classes of the labels, seen ones first.
        is_split: whether some classes are unseen.
        notes: the number of images, the predictions, and anything unusual.
    """

    folder: Path
    json_file: Path | None
    measure: Measure[Any]
    summary: Summary
    classes: ClassList
    is_split: bool
    notes: tuple[str, ...]

    def stage_report(self, per_class: bool = False) -> StageReport:
        """Make the result table and, with ``per_class``, the table by class."""
        first, *others = self.notes
        notes = [f"{first} Th: things, St: stuff." if "things" in self.summary.groups else first, *others]
        columns, row = self._table()
        tables = [Table(f"{self.folder}: {self.measure.title}", columns, row, notes)]
        if per_class:
            title = f"{self.folder}: by class"
            tables.append(class_table(title, self.measure, self.summary, self.classes.names))
        origin = {"json": str(self.json_file)} if self.json_file is not None else {"predictions": str(self.folder)}
        return StageReport("evaluation", tables, [], None, origin | self.summary.as_json_value())

    def _table(self) -> tuple[list[Column], list[dict[str, Any]]]:
        """The columns and the only row: seen, unseen and harmonic mean if classes are split, then all together."""
        prefixes = {group: (letter, letter) for group, letter in LETTERS.items()} if self.is_split else {}
        together = {group: prefix for group, prefix in _TOGETHER.items() if group in self.summary.groups}
        columns, row = [], {}
        for place, quantity in enumerate(self.measure.quantities):
            for group, (key, title) in {**prefixes, **together}.items():
                title = f"{title}{quantity.title}"
                columns.append(Column(f"{key}{quantity.key}", title, "percent", is_detail=place > 0))
                row[columns[-1].key] = self.summary.groups[group][quantity.key]
        return columns, [row]
