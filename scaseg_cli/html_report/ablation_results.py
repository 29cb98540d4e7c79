"""The ablations in a run folder: tables, the direction of effects, and plots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from scaseg_cli.comparison.seed_runs import key_without_seed
from scaseg_cli.results.table import Table, read_table

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.comparison.finished_run import FinishedRun


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


class Ablations(NamedTuple):
    """The ablations in a run folder.

    Attributes:
        shown: those of the run's recipe, whatever its seed, sorted by name.
        stale: names of those of another recipe.
        unknown: names of those that do not say whose they are.
    """

    shown: list[AblationResult]
    stale: list[str]
    unknown: list[str]


def read_ablations(finished: FinishedRun) -> Ablations:
    """Read the ablations that have a result table.

    Raises:
        ScasegError: a table is damaged.
    """
    found, own = Ablations([], [], []), key_without_seed(finished.recipe)
    for path in sorted((finished.run.path / "ablations").glob("*/results.json")):
        if path.parent.name == "stages":
            continue
        ablation = _read(path.parent)
        if ablation.results.key == own:
            found.shown.append(ablation)
        else:
            (found.unknown if ablation.results.key is None else found.stale).append(ablation.name)
    return found


def _read(folder: Path) -> AblationResult:
    effects, plot = folder / "effects.json", folder / "plot.svg"
    return AblationResult(
        folder.name,
        read_table(folder / "results.json"),
        read_table(effects) if effects.is_file() else None,
        plot.read_text(encoding="utf-8") if plot.is_file() else None,
    )
