"""The figures of an ablation's cells, which are read from the records of their evaluations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scaseg_cli.ablations.published import GROUPS
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import of_kind
from scaseg_cli.measures.measure import LETTERS, TITLES
from scaseg_cli.tasks import Setting, task_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaseg_cli.ablations.cells import Ablation
    from scaseg_cli.ablations.jobs.stage_job import Failure
    from scaseg_cli.ablations.plan import AblationCell, Plan
    from scaseg_cli.ablations.rows import AblationRow
    from scaseg_cli.run_dir import RunDir

BySeed = dict[int, float]
_AGAIN = "Delete the file, and run the ablation again."


@dataclass
class Figures:
    """The figures of one ablation.

    Attributes:
        ablation: the ablation.
        measure: JSON key of the task's main measure.
        values: figures by seed, as fractions, for each row label, setting and group of classes.
        failures: the reason for missing figures, by row label and seed.
        folders: the run folder of the evaluation, by row label and seed.
    """

    ablation: Ablation
    measure: str
    values: dict[tuple[str, Setting, str], BySeed] = field(default_factory=dict)
    failures: dict[tuple[str, int], Failure] = field(default_factory=dict)
    folders: dict[tuple[str, int], str] = field(default_factory=dict)

    def of(self, label: str, setting: Setting, group: str) -> BySeed:
        """Return the figures by seed; empty if all seeds failed."""
        return self.values.get((label, setting, group), {})

    def title(self, group: str) -> str:
        """Return the title of the group's column, such as hPQ."""
        return f"{LETTERS[group]}{TITLES[self.measure]}"

    def default(self, setting: Setting) -> AblationRow:
        """Return the row of the unchanged recipe."""
        return next(row for row in self.ablation.rows if row.is_default and setting in row.settings)

    def difference(self, label: str, against: str, setting: Setting, group: str = "harmonic") -> list[float]:
        """Return how much higher ``label`` is than ``against``, for each seed that both rows have."""
        one, two = self.of(label, setting, group), self.of(against, setting, group)
        return [one[seed] - two[seed] for seed in one if seed in two]


def read_figures(ablation: Ablation, plan: Plan, failed: Mapping[str, Failure]) -> Figures:
    """Read the figures of an ablation after its plan has run.

    Args:
        ablation: the ablation.
        plan: a plan that contains its cells.
        failed: the reason of each failed stage, by node id.
    """
    recipe = next(iter(ablation.rows[0].recipes.values()))
    figures = Figures(ablation, task_of(recipe).measure)
    cells = {(cell.label, cell.seed): cell for cell in plan.cells if cell.ablation == ablation.name}
    for row in ablation.rows:
        for seed in ablation.seeds:
            _take(figures, row, seed, cells[row.label, seed], plan, failed)
    return figures


def _take(
    figures: Figures, row: AblationRow, seed: int, cell: AblationCell, plan: Plan, failed: Mapping[str, Failure]
) -> None:
    run = plan.store.run(plan.nodes[cell.nodes[-1]])
    figures.folders[row.label, seed] = str(run.path)
    if cell.nodes[-1] in failed:
        figures.failures[row.label, seed] = failed[cell.nodes[-1]]
        return
    summary = _summary(run)
    for setting in row.settings:
        for group in GROUPS:
            try:
                value = summary[setting][group][figures.measure]
            except KeyError as error:
                raise ScasegError(f"the summary in {run.record_file('evaluation')} lacks {error}", _AGAIN) from None
            if value is not None:  # None: the validation images lack the group's classes
                figures.values.setdefault((row.label, setting, group), {})[seed] = value


def _summary(run: RunDir) -> dict[str, dict[str, dict[str, float | None]]]:
    """The figures of an evaluation, by row of its table, group of classes and measure."""
    summary = (run.record("evaluation") or {}).get("summary")
    kind = dict[str, dict[str, dict[str, float | None]]]
    return of_kind(summary, kind, f"the summary in {run.record_file('evaluation')}", _AGAIN)
