"""Stage 2, train-cat: trains the generator from the query store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaseg_cli.base.classifier import CosineClassifier, load_classifier
from scaseg_cli.base.device import choose_device
from scaseg_cli.base.scalar_log import ScalarLog
from scaseg_cli.cat.batches import BatchSource, StoredBatches
from scaseg_cli.cat.fit import MIN_MATCHED, GeneratorTraining, fit_network
from scaseg_cli.cat.generators import save_generator
from scaseg_cli.cat.ridge import RidgeGaussian, covariance_factor
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import write_json
from scaseg_cli.fold_choice import values_of
from scaseg_cli.queries.store import QueryStore, load_queries
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.results.table import Column, Table
from scaseg_cli.split.classes import read_classes
from scaseg_cli.stages import needs_of, recording, require, stage_key

if TYPE_CHECKING:
    from torch import Tensor

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

NEXT = "scaseg union-finetune"


def train_generator(recipe: Recipe, run: RunDir, live_batches: BatchSource | None = None) -> StageReport:
    """Train the generator, or fit the ridge Gaussian, or record that there is none.

    Args:
        recipe: the recipe; ``cat.generator`` selects the generator.
        run: the run folder; an interrupted run of the same recipe resumes.
        live_batches: with ``cat.live``, the source of each iteration's batch.

    Raises:
        ScasegError: an earlier stage is missing, the store is too small, or training diverged.
    """
    require(recipe, run, "split", "embeddings", *needs_of(recipe, "cat"))
    if recipe.cat.generator == "none":
        with recording(recipe, run, "cat") as summary:
            summary["generator"] = "none"
        return StageReport("cat", [], [run.record_file("cat")], NEXT, {"generator": "none"})
    if recipe.cat.generator == "ridge":
        return _fit_ridge(recipe, run)
    return _train_network(recipe, run, live_batches)


def _fit_ridge(recipe: Recipe, run: RunDir) -> StageReport:
    store = load_queries(recipe, run)
    classifier = load_classifier(recipe, run)
    num_seen = read_classes(run).num_seen
    num_classes = len(store.class_ids_M.unique())
    if num_classes < 3:
        raise ScasegError(
            f"{run.queries_file} has queries of {num_classes} seen classes; the regression needs three",
            "Train the base model for longer, or on more classes.",
        )
    with recording(recipe, run, "cat", run.generator_file) as summary:
        ridge = RidgeGaussian.fit(store.matched_MD, store.class_ids_M, classifier.embeddings[:num_seen].cpu())
        save_generator(run, ridge, _sizes(classifier))
        summary.update(generator="ridge", strength=ridge.strength, queries=len(store.matched_MD))
    return StageReport("cat", [], [run.generator_file], NEXT, dict(summary))


def _train_network(recipe: Recipe, run: RunDir, live_batches: BatchSource | None) -> StageReport:
    config, classifier = recipe.cat, load_classifier(recipe, run)
    batches = _batches(recipe, run, live_batches)
    device = choose_device(recipe)
    key, state_file = stage_key(recipe, run, "cat"), run.folder("cat") / "progress.pt"
    curve_file = run.generator_file.with_name("curve.json")
    training = GeneratorTraining(config, recipe.seed, classifier, read_classes(run).num_seen, device)
    with recording(recipe, run, "cat", run.generator_file, curve_file) as summary:
        log = ScalarLog(state_file.with_name("tensorboard") if recipe.tensorboard else None)
        fit_network(training, batches, state_file, key, log)
        save_generator(run, training.network, _sizes(classifier), _noise(recipe, run))
        write_json(curve_file, training.curve.rows)
        summary.update(generator=config.generator, iterations=config.iterations)
        if training.curve.rows:
            summary["losses"] = {name: x for name, x in training.curve.rows[-1].items() if name != "iteration"}
    state_file.unlink(missing_ok=True)
    return StageReport("cat", _tables(training), [run.generator_file, curve_file], NEXT, dict(summary))


def _batches(recipe: Recipe, run: RunDir, live_batches: BatchSource | None) -> BatchSource:
    if recipe.cat.live:
        if live_batches is None:
            raise ValueError("cat.live needs live_batches")
        return live_batches
    store = load_queries(recipe, run)
    _check_store(store, run, MIN_MATCHED)
    if recipe.cat.batch_size < MIN_MATCHED:
        raise ScasegError(
            f"cat.batch_size is {recipe.cat.batch_size}; BatchNorm needs at least {MIN_MATCHED}",
            "Set a larger cat.batch_size in the recipe.",
        )
    return StoredBatches(store, recipe.cat.batch_size, recipe.seed)


def _check_store(store: QueryStore, run: RunDir, least: int) -> None:
    if len(store.matched_MD) < least:
        raise ScasegError(
            f"{run.queries_file} has {len(store.matched_MD)} matched queries; at least {least} are needed",
            "Add training images, or increase queries.views in the recipe.",
        )


def _noise(recipe: Recipe, run: RunDir) -> Tensor | None:
    """The factor of the noise that ``cat.noise`` adds to samples, [D, D]."""
    if values_of(recipe, run)["noise"] == "none":
        return None
    store = load_queries(recipe, run)
    return covariance_factor(store.matched_MD.double(), store.class_ids_M).float()


def _sizes(classifier: CosineClassifier) -> dict[str, int]:
    return {"visual_dim": classifier.projector.visual_dim, "embedding_dim": classifier.projector.embedding_dim}


def _tables(training: GeneratorTraining) -> list[Table]:
    """Tabulate the loss at the start, middle and end, one row each."""
    rows = training.curve.rows
    if not rows:
        return []
    names = [name for name in rows[-1] if name != "iteration"]
    columns = [Column("iteration", "iteration", "count"), *(Column(name, name, "number") for name in names)]
    picked = [rows[i] for i in sorted({0, len(rows) // 2, len(rows) - 1})]
    window = training.curve.window
    return [Table("Generator's losses, unweighted", columns, picked, [f"Means of {window} iterations each."])]
