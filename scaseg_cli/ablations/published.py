"""The published figures: Tables 1-8 of the supplement, measured on COCO."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from scaseg_cli.recipe.yaml_text import read_yaml
from scaseg_cli.tasks import SETTINGS, Setting

GROUPS = ("harmonic", "seen", "unseen")
LABEL = "published (COCO)"


@dataclass(frozen=True)
class PublishedTable:
    """One published table.

    Attributes:
        number: number of the table in the supplement.
        default: label of the row with the paper's own setting.
        rows: panoptic quality of each of `GROUPS`, as fractions, by label and setting.
    """

    number: int
    default: str
    rows: dict[str, dict[Setting, dict[str, float]]]

    def figure(self, label: str, setting: Setting, group: str) -> float | None:
        """Return one figure, or None if it was not reported."""
        return self.rows.get(label, {}).get(setting, {}).get(group)


def label_of(value: Any) -> str:
    """Return the row label of a value, such as ``32``, ``0.07`` or ``off``; for several keys, such as ``32, 0.07``."""
    if isinstance(value, list):
        return ", ".join(label_of(item) for item in value)
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    return "null" if value is None else str(value)


@lru_cache(maxsize=1)
def published_tables() -> dict[str, PublishedTable]:
    """Return all published tables by name."""
    text = resources.files("scaseg_cli.ablations").joinpath("published.yaml").read_text(encoding="utf-8")
    return {name: _table(content) for name, content in read_yaml(text).items()}


def _table(content: dict[str, Any]) -> PublishedTable:
    rows: dict[str, dict[Setting, dict[str, float]]] = {}
    for row in content["rows"]:
        figures = {setting: row[setting] for setting in SETTINGS if setting in row}
        rows[label_of(row["value"])] = {
            setting: {group: percent / 100 for group, percent in zip(GROUPS, three, strict=True)}
            for setting, three in figures.items()
        }
    return PublishedTable(content["table"], label_of(content["default"]), rows)
