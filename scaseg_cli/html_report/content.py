"""The content of the report for one run; whatever cannot be shown is named with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from scaseg_cli.errors import ScasegError, explained
from scaseg_cli.html_report.ablation_results import AblationResult, read_ablations
from scaseg_cli.html_report.confusion import Confusion
from scaseg_cli.html_report.curves import (
    Losses,
    Snapshots,
    read_base_losses,
    read_generator_losses,
    read_snapshots,
    read_validation,
)
from scaseg_cli.html_report.embedding_map import distance_table
from scaseg_cli.html_report.pictures import Picture, read_examples, read_grids
from scaseg_cli.html_report.provenance import Provenance, provenance
from scaseg_cli.results.table import Table, json_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaseg_cli.comparison.finished_run import FinishedRun
    from scaseg_cli.html_report.survey import Survey

T = TypeVar("T")
_NO_SURVEY = "disabled by --images 0"


@dataclass
class Content:
    """The content of one run.

    Attributes:
        finished: the run with its tables and records.
        provenance: stages, versions and recipe that made the run.
        survey: results of the pass over the validation images; None without one.
        confusion: confusion matrix of each main row.
        distances: distances between embeddings, by unseen class.
        base, generator: losses of the trainings.
        validation: figures on selection images while the base was trained.
        snapshots: snapshots of the fine-tuning.
        ablations: ablations in the run folder.
        examples: the evaluation's picture.
        grids: grids that `scaseg visualize` drew.
        left_out: the reason why a section is missing, by the section's name.
    """

    finished: FinishedRun
    provenance: Provenance
    survey: Survey | None = None
    confusion: list[Confusion] = field(default_factory=list)
    distances: Table | None = None
    base: Losses | None = None
    validation: Losses | None = None
    generator: Losses | None = None
    snapshots: Snapshots | None = None
    ablations: list[AblationResult] = field(default_factory=list)
    examples: Picture | None = None
    grids: list[Picture] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The class names, ordered by class id."""
        return [row["class"] for row in self.finished.per_class.rows]

    def as_json_value(self) -> dict[str, Any]:
        """Return the numbers that the page shows."""
        finished, survey = self.finished, self.survey
        curves = {"base": self.base, "generator": self.generator}
        value: dict[str, Any] = {
            "run": finished.label,
            "folder": str(finished.run.path),
            "recipe": finished.recipe.name,
            "task": finished.task.name,
            "seed": finished.recipe.seed,
            "results": finished.results.as_json_value(),
            "per_class": finished.per_class.as_json_value(),
            "images_looked_at": None if survey is None else survey.num_images,
            "confusion": {one.setting: one.as_json_value() for one in self.confusion},
            "distances": None if self.distances is None else self.distances.as_json_value(),
            "losses": {name: losses.as_json_value() for name, losses in curves.items() if losses is not None},
            "selection_while_training": None if self.validation is None else self.validation.as_json_value(),
            "snapshots": None if self.snapshots is None else self.snapshots.figures,
            "ablations": {one.name: one.as_json_value() for one in self.ablations},
            "made_by": self.provenance.as_json_value(),
            "left_out": self.left_out,
        }
        shown: dict[str, Any] = json_value(value)
        return shown


def gather(finished: FinishedRun, at_most: int) -> Content:
    """Read the content of a run, and make the survey if the run folder does not hold it.

    Args:
        finished: the run.
        at_most: maximum number of validation images that the frozen network segments; 0 disables the survey.
    """
    content = Content(finished, provenance(finished))
    content.base = _tried(content, "Curves: base", "base", lambda: read_base_losses(finished.run))
    content.validation = _tried(content, "Curves: base, figures", "base", lambda: read_validation(finished.run))
    if finished.recipe.evaluation.setting != "inductive":
        if finished.recipe.cat.generator not in ("ridge", "none"):
            read = lambda: read_generator_losses(finished.run)  # noqa: E731
            content.generator = _tried(content, "Curves: generator", "cat", read)
        read_choices = lambda: read_snapshots(finished.run)  # noqa: E731
        content.snapshots = _tried(content, "Curves: fine-tuning", "union", read_choices)
    _add_ablations(content)
    content.examples = _tried(content, "Images", None, lambda: read_examples(finished))
    _add_grids(content)
    if at_most:
        content.survey = _tried(content, "Confusion and embeddings", None, lambda: _survey(finished, at_most))
    else:
        content.left_out["Confusion and embeddings"] = _NO_SURVEY
    if content.survey is not None:
        _add_survey(content, content.survey)
    return content


def _survey(finished: FinishedRun, at_most: int) -> Survey:
    from scaseg_cli.html_report.survey_pass import survey_of  # with the network's packages, which take seconds to load

    return survey_of(finished, at_most)


def _tried(content: Content, section: str, stage: str | None, work: Callable[[], T]) -> T | None:
    """Return the result of ``work``, or None, with ``section`` left out, after an error that the user can fix.

    ``stage`` names the stage whose files are read. They must be those that the evaluation was made from.
    """
    if stage in content.finished.doubts:
        content.left_out[section] = content.finished.doubts[stage]
        return None
    try:
        return work()
    except (ScasegError, OSError) as error:
        reason = explained(error)
        if reason is None:
            raise
        content.left_out[section] = reason.message
        return None


def _add_ablations(content: Content) -> None:
    found = _tried(content, "Ablations", None, lambda: read_ablations(content.finished))
    if found is None:
        return
    content.ablations = found.shown
    reasons = {"made by another recipe": found.stale, "not known to be made by this recipe": found.unknown}
    if said := _in_words(reasons):
        content.left_out["Ablations"] = f"{said}. `scaseg ablate` makes tables of the present one"


def _in_words(reasons: dict[str, list[str]]) -> str:
    return "; ".join(f"{reason}: {', '.join(names)}" for reason, names in reasons.items() if names)


def _add_grids(content: Content) -> None:
    grids = _tried(content, "Grids", None, lambda: read_grids(content.finished))
    if grids is None:
        return
    content.grids = grids.shown
    reasons = {
        "made by other weights or another recipe": grids.stale,
        "not known to be made by these weights": grids.unknown,
        "no room": grids.too_large,
    }
    if said := _in_words(reasons):
        again = ". `scaseg visualize` draws grids of the present ones" if grids.stale or grids.unknown else ""
        content.left_out["Grids"] = said + again


def _add_survey(content: Content, survey: Survey) -> None:
    content.confusion = [Confusion(name, content.names, survey.num_seen, votes) for name, votes in survey.votes.items()]
    content.distances = distance_table(
        survey.real_RD, survey.real_ids_R, survey.generated_PD, survey.generated_ids_P, content.names, survey.num_seen
    )
