"""The result table: inductive and transductive, with their controls, from one pass over the validation images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scaseg_cli.base.classifier import CosineClassifier, load_classifier
from scaseg_cli.base.projector import load_projector
from scaseg_cli.evaluation.examples import Shown, draw_examples
from scaseg_cli.evaluation.score import Candidate, score
from scaseg_cli.evaluation.summary import PER_CLASS_COLUMNS, Summary
from scaseg_cli.files import read_json
from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.results.report import Report
from scaseg_cli.results.table import Column, Table, write
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split import open_set, read_classes
from scaseg_cli.stages import needs_of, recording, require

GROUPS = {"seen": "s", "unseen": "u", "harmonic": "h"}
MEASURES = ("pq", "sq", "rq")
COLUMNS = [
    Column("setting", "setting"),
    Column("model", "model"),
    Column("increment", "increment", "number"),
    *(
        Column(f"{letter}{m}", f"{letter}{m.upper()}", "percent", is_detail=m != "pq")
        for m in MEASURES
        for letter in GROUPS.values()
    ),
]
_MAIN = ("inductive", "transductive")  # the rows that stand for the two settings
_CHOSEN = "best increment"


@dataclass(frozen=True)
class Row:
    """One line of the result table before it is scored.

    Attributes:
        name: its key in the JSON.
        setting: inductive, transductive or control.
        model: what it is, in words.
        candidate: what is scored.
    """

    name: str
    setting: str
    model: str
    candidate: Candidate


def evaluate(recipe: Recipe, run: RunDir) -> Report:
    """Score what the run folder holds on the validation images.

    Writes the result table, the per-class table and a picture of a few images.

    Raises:
        ScasegError: an earlier stage is missing or of another recipe, or an image cannot be read.
    """
    require(recipe, run, "split", "embeddings", *needs_of(recipe, "evaluation"))
    rows = _rows(recipe, run)
    folder = run.results_file.parent
    outputs = [folder / f"{stem}{suffix}" for stem in ("results", "per-class") for suffix in (".json", ".csv", ".md")]
    outputs.append(run.examples_file)
    images = open_set(recipe, run, "validation")
    with recording(recipe, run, "evaluation", *outputs) as summary:
        summaries = score(recipe, run, "validation", [row.candidate for row in rows])
        table = _table(recipe, len(images.images), rows, summaries)
        main = next(row for row in reversed(rows) if row.setting != "control" and row.name != "last")
        per_class = _per_class_table(f"{main.setting}, {main.model}: by class", summaries[main.name], run)
        write(table, folder, "results")
        write(per_class, folder, "per-class")
        shown = [Shown(row.setting, _in_brief(row), row.candidate) for row in rows if row.name in _MAIN]
        draw_examples(recipe, run, images, shown)
        summary.update({row.name: summaries[row.name].as_json_value() for row in rows})
    return Report("evaluation", [table], outputs, None, dict(summary))


def _rows(recipe: Recipe, run: RunDir) -> list[Row]:
    """What the recipe's settings ask for, in the order of the table."""
    base = load_classifier(recipe, run).requires_grad_(False).eval()
    increment, setting = recipe.evaluation.inductive_increment, recipe.evaluation.setting
    rows: list[Row] = []

    def add(name: str, setting: str, model: str, classifier: CosineClassifier, increment: float = 0.0) -> None:
        rows.append(Row(name, setting, model, Candidate(name, classifier, increment)))

    if setting != "transductive":
        add("base", "inductive", "base", base)
        add("inductive", "inductive", "base", base, increment)
    if setting == "inductive":
        return rows
    chosen = read_json(run.choices_file, "the choices of union-finetune")["chosen"]
    tuned = {
        name: load_projector(recipe, run, path)
        for name, path in (("best", run.projector_file), ("increment", run.best_increment_file))
    }
    add("base-best-increment", "control", f"base, {_CHOSEN}", base, chosen["base"]["increment"])
    if chosen["control"] is not None:
        control = load_projector(recipe, run, run.control_file)
        model = "no generator"
        add("control", "control", model, control)
        add("control-best-increment", "control", f"{model}, {_CHOSEN}", control, chosen["control"]["increment"])
    add("last", "transductive", "last snapshot", load_projector(recipe, run, run.last_projector_file))
    wanted = chosen["method_increment"]["increment"]
    add("transductive-best-increment", "transductive", "best snapshot and increment", tuned["increment"], wanted)
    add("transductive", "transductive", "best snapshot", tuned["best"])
    return rows


def _in_brief(row: Row) -> str:
    """What a row of `_MAIN` is, in as few words as fit above a column of the picture."""
    if row.name == "transductive":
        return "fine-tuned with generated unseen queries"
    return f"base model, unseen logits {row.candidate.increment:+g}"


def _table(recipe: Recipe, num_images: int, rows: list[Row], summaries: dict[str, Summary]) -> Table:
    values: list[dict[str, Any]] = []
    for row in rows:
        found = summaries[row.name]
        cells = {
            f"{letter}{measure}": getattr(getattr(found, group), measure)
            for group, letter in GROUPS.items()
            for measure in MEASURES
        }
        style = {"_style": "bold"} if row.name in _MAIN else {}
        last = {"_section": True} if row is not rows[-1] and rows[rows.index(row) + 1].setting != row.setting else {}
        values.append(
            {"setting": row.setting, "model": row.model, "increment": row.candidate.increment, **cells, **style, **last}
        )
    notes = [
        f"{num_images} validation images. s: seen, u: unseen, h: harmonic mean of both. Increment: added to the unseen "
        "logits. Best: chosen on the selection images, none of which is reported.",
        "Transductive: fine-tuned with generated unseen embeddings. No generator: fine-tuned alike without them.",
    ]
    return Table(f"{recipe.name}: panoptic quality", COLUMNS, values, notes)


def _per_class_table(title: str, summary: Summary, run: RunDir) -> Table:
    note = "A class that no label and no predicted segment has counts nowhere."
    return Table(title, PER_CLASS_COLUMNS, summary.rows(read_classes(run).names), [note])
