"""Stage 3, union-finetune: from the query store and the generator to the chosen class projector."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING

import torch

from scaseg_cli.base.classifier import ClassProjector, CosineClassifier, load_classifier
from scaseg_cli.base.device import choose_device
from scaseg_cli.base.projector import Snapshot, save_projector, with_codes
from scaseg_cli.base.scalar_log import ScalarLog
from scaseg_cli.cat.generators import load_generator
from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.score import score
from scaseg_cli.evaluation.scored_set import ScoredSet
from scaseg_cli.evaluation.shared_pass import RecipeRun, ReportOrError, Work, check_cells, only, share_pass
from scaseg_cli.files import write_json
from scaseg_cli.fold_choice import read_fold_choice, values_of, with_values
from scaseg_cli.measures.measure import LETTERS
from scaseg_cli.queries.store import QueryStore, load_queries
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.results.table import Column, Table
from scaseg_cli.seeds import drawn_seed
from scaseg_cli.split.classes import read_classes
from scaseg_cli.stages import needs_of, recording, require, stage_key
from scaseg_cli.union.choose import Choices, Figure, Model, choose, choose_without_labels, figures_of, tried_of
from scaseg_cli.union.generated import GeneratedEmbeddings, text_read
from scaseg_cli.union.loss import FinetuneLoss
from scaseg_cli.union.tuning import FineTuning, tune

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from scaseg_cli.evaluation.candidates import Candidate
    from scaseg_cli.measures.summary import Quantity, Summary
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


def union_finetune(recipe: Recipe, run: RunDir) -> StageReport:
    """Fine-tune the class projector and a control, and choose among the snapshots as ``evaluation.choose_on`` says.

    Writes the chosen projectors, the last one, and every figure that was compared. The stage counts as finished only
    once every output is written.

    Raises:
        ScasegError: an earlier stage is missing, the loss diverged, or nothing can be chosen on the selection images.
    """
    return only(union_finetune_all([(recipe, run)]))


def union_finetune_all(cells: Sequence[RecipeRun]) -> list[ReportOrError]:
    """Run `union_finetune` for many runs on the same base model and data, with one pass of the network for all.

    The fine-tunings run one after another. Then one pass over the selection images scores the snapshots of all runs.
    Each run folder gets the files that its own command would write. A record's seconds are the run's own time plus an
    equal part of the pass.

    Args:
        cells: recipes and run folders. The first cell that reaches the pass sets its processes and batch size.

    Returns:
        For each cell, its report or the error that ended this cell alone, such as a diverged loss.

    Raises:
        ScasegError: an image or the base model cannot be read. This ends all cells; finished fine-tunings are kept as
            progress.
        ValueError: the cells differ in their base model or data, or two cells have the same run folder.
    """
    check_cells(cells)

    def one_pass(requests: list[tuple[int, list[Candidate]]]) -> list[tuple[Quantity, dict[str, Summary]]]:
        scored = ScoredSet(*cells[requests[0][0]], "selection")
        if not any(candidates for _, candidates in requests):  # no cell chooses on the labels of the images
            return [(scored.measure.quantities[0], {}) for _ in requests]
        found = score(scored, [(cells[index][0], candidates) for index, candidates in requests])
        return [(scored.measure.quantities[0], scores.summaries) for scores in found]

    return share_pass([_union(*cell) for cell in cells], one_pass)


def _union(recipe: Recipe, run: RunDir) -> Work[list[Candidate], tuple[Quantity, dict[str, Summary]]]:
    """One run's fine-tuning and choice; it yields its candidates to the shared pass."""
    require(recipe, run, "split", "embeddings", "base", "queries", *needs_of(recipe, "union"))
    outputs = [run.projector_file, run.last_projector_file, run.best_increment_file, run.choices_file]
    if recipe.union.control:
        outputs.append(run.control_file)
    base = load_classifier(recipe, run).requires_grad_(False).eval()
    coded = with_codes(recipe, base, read_classes(run).num_seen)
    progress: list[Path] = []
    with recording(recipe, run, "union", *outputs) as summary:
        snapshots = _finetune(recipe, run, coded, base.embeddings, progress)
        on_labels = recipe.evaluation.choose_on == "unseen_labels"
        tried = tried_of(recipe, base, coded, snapshots) if on_labels else []
        (measure, summaries), summary.waited = yield [one.candidate for one in tried]
        if on_labels:
            choices = choose(figures_of(tried, summaries), measure)
        else:
            on_folds = read_fold_choice(run) if recipe.evaluation.choose_on == "seen_folds" else None
            choices = choose_without_labels(recipe, measure, on_folds)
        _write(recipe, run, snapshots, choices)
        _log(recipe, run, choices)
        if on_labels:
            chosen = choices.as_json_value()["chosen"]
            summary["selection_harmonic"] = {name: figure["harmonic"] for name, figure in chosen.items() if figure}
    for path in progress:
        path.unlink(missing_ok=True)
    return StageReport("union", [_table(choices)], outputs, "scaseg evaluate", dict(summary))


def _finetune(
    recipe: Recipe, run: RunDir, base: CosineClassifier, text_NC: Tensor, progress: list[Path]
) -> dict[Model, list[Snapshot]]:
    """Snapshots of the method and of the control; the progress files are appended to ``progress``.

    The fine-tuning starts from ``base``, and the generator reads ``text_NC``, the vectors of the class names.
    """
    config, device = with_values(recipe, values_of(recipe, run)).union, choose_device(recipe)
    num_seen = read_classes(run).num_seen
    store = _store(recipe, run, device)
    classifier = (copy.deepcopy(base) if config.projector == "trained" else _fresh(base, recipe.seed)).to(device)
    loss = FinetuneLoss.of(config, num_seen, len(base.embeddings), recipe.base.no_object_weight)
    generator = load_generator(recipe, run).to(device)
    read_NC = text_read(config, text_NC, num_seen, recipe.seed).to(device)
    generated = GeneratedEmbeddings(config, generator, read_NC, num_seen, store, recipe.seed)
    kinds: dict[Model, GeneratedEmbeddings | None] = {"method": generated}
    if config.control:
        kinds["control"] = None
    snapshots: dict[Model, list[Snapshot]] = {}
    for name, drawn in kinds.items():
        tuning = FineTuning(config, recipe.seed, classifier, loss, store, drawn)
        progress.append(run.path / "union" / f"progress-{name}.pt")
        key, log = stage_key(recipe, run, "union"), ScalarLog(_events(recipe, run, name))
        snapshots[name] = tune(tuning, f"fine-tuning, {name}", progress[-1], key, log)
    return snapshots


def _fresh(base: CosineClassifier, seed: int) -> CosineClassifier:
    """The base's classifier with a random projector."""
    fresh, device = copy.deepcopy(base), base.no_object.device
    with torch.random.fork_rng():
        torch.manual_seed(drawn_seed(seed, "fresh-projector"))
        fresh.projector = ClassProjector(base.projector.visual_dim, base.projector.embedding_dim).to(device)
    return fresh


def _events(recipe: Recipe, run: RunDir, model: Model) -> Path | None:
    return run.path / "union" / "tensorboard" / model if recipe.tensorboard else None


def _log(recipe: Recipe, run: RunDir, choices: Choices) -> None:
    """Log the harmonic mean of each snapshot on the selection images, without an increment and at the best one."""
    title = f"h{choices.measure.title}"
    for model in {figure.model for figure in choices.figures} - {"base"}:
        own = [figure for figure in choices.figures if figure.model == model]
        with contextlib.closing(ScalarLog(_events(recipe, run, model))) as log:
            for step in sorted({figure.step for figure in own}):
                at_step = [figure for figure in own if figure.step == step]
                plain = next(figure.harmonic for figure in at_step if figure.increment == 0.0)
                best = max(figure.harmonic for figure in at_step)
                log.add({f"selection/{title}": plain, f"selection/{title}, best increment": best}, step)


def _store(recipe: Recipe, run: RunDir, device: torch.device) -> QueryStore:
    store = load_queries(recipe, run)
    if not len(store.matched_MD):
        raise ScasegError(f"{run.queries_file} has no query with a segment", "Train the base model for longer.")
    return QueryStore(store.matched_MD.to(device), store.class_ids_M.to(device), store.null_UD.to(device))


def _write(recipe: Recipe, run: RunDir, snapshots: dict[Model, list[Snapshot]], choices: Choices) -> None:
    files: list[tuple[Path, Model, int, float]] = [
        (run.projector_file, "method", choices.method.step, 0.0),
        (run.last_projector_file, "method", recipe.union.iterations, 0.0),
        (run.best_increment_file, "method", choices.method_increment.step, choices.method_increment.increment),
    ]
    if choices.control is not None:
        files.append((run.control_file, "control", choices.control.step, choices.control.increment))
    for path, model, step, increment in files:
        snapshot = next(snapshot for snapshot in snapshots[model] if snapshot.step == step)
        save_projector(path, snapshot, {"model": model, "increment": increment})
    write_json(run.choices_file, choices.as_json_value())


def _table(choices: Choices) -> Table:
    """The base and each snapshot, at increment 0 and at its own best increment; chosen ones are marked."""
    title = choices.measure.title
    columns = [
        Column("model", "model"),
        Column("step", "step", "count"),
        Column("increment", "increment", "number"),
        *(Column(group, f"{letter}{title}", "percent") for group, letter in LETTERS.items()),
        Column("chosen", "chosen as"),
    ]
    chosen: dict[Figure, list[str]] = {}
    marks = {"base": choices.base, "best": choices.method, "best with increment": choices.method_increment}
    for mark, figure in {**marks, "control": choices.control}.items():
        if figure is not None:
            chosen.setdefault(figure, []).append(mark)
    groups: dict[tuple[str, int], list[Figure]] = {}
    for figure in choices.figures:
        groups.setdefault((figure.model, figure.step), []).append(figure)
    if not choices.figures:
        rows = [{**vars(figure), "chosen": ", ".join(mark)} for figure, mark in chosen.items()]
        return Table("Snapshots", columns, rows, [choices.note])
    rows = []
    for group in groups.values():
        plain = next(figure for figure in group if figure.increment == 0.0)
        top = max(group, key=lambda figure: figure.harmonic)
        for figure in dict.fromkeys([plain, top]):
            mark = ", ".join(chosen.get(figure, []))
            rows.append({**vars(figure), "chosen": mark or None, **({"_style": "bold"} if mark else {})})
    return Table("Snapshots on the selection images", columns, rows, [choices.note])
