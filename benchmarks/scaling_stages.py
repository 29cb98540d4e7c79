"""The stages whose cost is measured, and the dimensions that each may grow with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scaling_world import World, finish, write_world

from scaseg_cli.base.train import train_base
from scaseg_cli.cat.train import train_generator
from scaseg_cli.embeddings.embed import embed_classes
from scaseg_cli.evaluation.evaluate import evaluate
from scaseg_cli.external.evaluate_predictions import score_predictions
from scaseg_cli.external.score_options import ScoreOptions
from scaseg_cli.packages import prepare_open_clip
from scaseg_cli.prediction.predict import predict
from scaseg_cli.prediction.sources import find_sources
from scaseg_cli.queries.collect import collect_queries
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.sources import make_embedded_world
from scaseg_cli.split.split import split_dataset
from scaseg_cli.union.finetune import union_finetune

prepare_open_clip()
import open_clip  # noqa: E402, F401  here, so that no point includes its import

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe

Work = Callable[[], object]


@dataclass(frozen=True)
class Series:
    """Points of one stage that differ in one dimension.

    Attributes:
        stage: the stage, by its command.
        dimension: what grows, in words.
        units: how much of it at each point, ascending.
        prepare: makes the work of a point in an empty folder, given a folder that all points share.
        task: ``zps`` or ``zss``.
    """

    stage: str
    dimension: str
    units: tuple[int, ...]
    prepare: Callable[[Path, Path, int], Work]
    task: str = "zps"

    @property
    def name(self) -> str:
        """The name of the series in the file of figures."""
        return f"{self.stage}, {self.task}: {self.dimension}"


def _stage(
    work: Callable[[Recipe, RunDir], object], last: str | None, attributes: tuple[str, ...], world: World
) -> Callable[[Path, Path, int], Work]:
    """What prepares a stage in a world whose ``attributes`` have the units of the point.

    Args:
        work: runs the stage.
        last: the stage before it.
        attributes: of the world.
        world: what else it has.
    """

    def prepare(shared: Path, folder: Path, units: int) -> Work:
        own = replace(world, **dict.fromkeys(attributes, units))  # type: ignore[arg-type]
        recipe, run = write_world(shared, own), RunDir(folder / "run")
        if last is not None:
            finish(recipe, run, own, last)
        return lambda: work(recipe, run)

    return prepare


def _drawn(shared: Path, folder: Path, units: int) -> Work:
    """Drawing the embedded world."""
    del shared
    recipe = load_recipe("shapes-zps", (f"data.shapes.num_train={units}", "data.shapes.num_validation=16"))
    return lambda: make_embedded_world(recipe, RunDir(folder / "run"))


def _predicting(attribute: str) -> Callable[[Path, Path, int], Work]:
    """Predicting validation images, in the classes of the run."""

    def prepare(shared: Path, folder: Path, units: int) -> Work:
        own = replace(World(), **{attribute: units})  # type: ignore[arg-type]
        recipe, run = write_world(shared, own), RunDir(folder / "run")
        finish(recipe, run, own, "base")
        images = json.loads(own.annotations(shared, "validation").read_bytes())["images"]
        sources = find_sources([str(own.root(shared) / "images" / image["file_name"]) for image in images])
        return lambda: predict(recipe, run, sources, folder / "found", overlays=False)

    return prepare


def _scored(shared: Path, folder: Path, units: int) -> Work:
    """Scoring predictions in files: the labels themselves."""
    del folder
    own = World(validation=units)
    write_world(shared, own)
    annotations, labels = own.annotations(shared, "validation"), own.root(shared) / "panoptic"
    return lambda: score_predictions(labels, annotations, labels, options=ScoreOptions(annotations))


_ALL = (10, 100, 1000, 10_000)
_FEW = (10, 100, 1000)
_MANY = (100, 1000, 10_000, 100_000)
_LITTLE = World()
_ZSS = World(task="zss")


def _of_stage(
    command: str,
    work: Callable[[Recipe, RunDir], object],
    last: str | None,
    grows: dict[str, tuple[tuple[int, ...], tuple[str, ...]]],
    world: World = _LITTLE,
) -> list[Series]:
    return [
        Series(command, dimension, units, _stage(work, last, attributes, world), world.task)
        for dimension, (units, attributes) in grows.items()
    ]


SERIES: tuple[Series, ...] = (
    Series("the embedded world", "images", _FEW, _drawn),
    *_of_stage("split-dataset", split_dataset, None, {"images": (_ALL, ("train",)), "classes": (_ALL, ("classes",))}),
    *_of_stage("split-dataset", split_dataset, None, {"images": (_ALL, ("train",))}, _ZSS),
    *_of_stage("embed-classes", embed_classes, "split", {"classes": (_ALL, ("classes",))}),
    *_of_stage("train-base", train_base, "embeddings", {"iterations": ((10, 100), ("iterations",))}),
    *_of_stage(
        "train-base",
        train_base,
        "embeddings",
        {
            "images": (_ALL, ("train",)),
            "classes": (_ALL, ("classes",)),
            "queries": (_FEW, ("queries",)),
        },
        _LITTLE,
    ),
    *_of_stage(
        "query pass",
        collect_queries,
        "base",
        {"images": (_FEW, ("train",)), "classes": (_ALL, ("classes",)), "queries": (_FEW, ("queries",))},
    ),
    *_of_stage("train-cat", train_generator, "queries", {"iterations": (_FEW, ("iterations",))}),
    *_of_stage(
        "train-cat",
        train_generator,
        "queries",
        {"stored queries": (_MANY, ("stored",)), "classes": (_ALL, ("classes",))},
        _LITTLE,
    ),
    *_of_stage("union-finetune", union_finetune, "cat", {"iterations": (_FEW, ("iterations",))}),
    *_of_stage(
        "union-finetune",
        union_finetune,
        "cat",
        {
            "stored queries": (_MANY, ("stored",)),
            "classes": (_FEW, ("classes",)),
            "images": (_FEW, ("selection",)),
            "candidates": (_FEW, ("candidates",)),
        },
    ),
    *_of_stage(
        "union-finetune",
        union_finetune,
        "cat",
        {"images": (_FEW, ("selection",)), "classes": (_FEW, ("classes",)), "candidates": (_FEW, ("candidates",))},
        _ZSS,
    ),
    *_of_stage("evaluate", evaluate, "union", {"images": (_FEW, ("validation",)), "classes": (_FEW, ("classes",))}),
    *_of_stage(
        "evaluate", evaluate, "union", {"images": (_FEW, ("validation",)), "classes": (_FEW, ("classes",))}, _ZSS
    ),
    Series("evaluate --predictions", "images", _ALL, _scored),
    Series("predict", "images", _FEW, _predicting("validation")),
    Series("predict", "classes", _ALL, _predicting("classes")),
)
