"""Compare an iteration of stage 2 from the query file with one that runs the segmentor, as `train-cat --live` does.

    python benchmarks/cat_live.py --device cuda --size published

Both use the recipe's batch size: cat.batch_size queries from the file, or the queries of cat.live_images images. Images
are synthetic and weights random, neither of which changes the time.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from measuring import Goal, Outcome, in_turns, machine_of, prepare, run_benchmark, seconds_of
from scenes import write_scenes

from scaseg_cli.base.classifier import load_classifier
from scaseg_cli.base.device import choose_device
from scaseg_cli.base.network import build_network
from scaseg_cli.base.segmentor import save_base
from scaseg_cli.cat.batches import BatchSource, StoredBatches
from scaseg_cli.cat.fit import GeneratorTraining
from scaseg_cli.data.class_lists import coco_panoptic
from scaseg_cli.embeddings.encoders import vector_source
from scaseg_cli.embeddings.store import ClassEmbeddings, save_embeddings
from scaseg_cli.queries.collect import live_batches
from scaseg_cli.queries.store import QueryStore, load_queries, save_queries
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import ClassList, read_classes
from scaseg_cli.split.split import split_dataset
from scaseg_cli.split.unseen import COCO_ZPS
from scaseg_cli.stages import recording
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from scaseg_cli.recipe.schema import Recipe

RECIPES = {"small": "shapes-zps", "published": "coco-zps"}
IMAGES = {"small": (64, 64), "published": (640, 480)}
NUM_QUERIES = {"small": 5_000, "published": 50_000}
EMBEDDING_DIM = 512
NUM_IMAGES = 16
_FROM_FILE = 20  # iterations from the file per live iteration, which takes far longer


def make_recipe(size: str, device: str, root: Path) -> Recipe:
    """Load the shipped recipe of this size for the synthetic images in ``root``."""
    sets = [f"data.{name}={{images: {name}, annotations: {name}.json, labels: {name}_png}}" for name in ("train",)]
    sets += ["data.validation={images: val, annotations: val.json, labels: val_png}", "data.selection=null"]
    own = [f"data.root={root}", "data.shapes=null", "split.unseen=coco-zps", "threads=null"]
    random = ["base.backbone.checkpoint=null", "clip.checkpoint=null", "cat.live=true"]
    return load_recipe(RECIPES[size], (*sets, *own, *random, f"gpus={int(device == 'cuda')}", "base.workers=0"))


def write_images(root: Path, size: str, num_images: int = NUM_IMAGES, num_validation: int = 2) -> None:
    """Write training and validation images with COCO's categories; no training image has an unseen class."""
    categories = list(coco_panoptic())
    seen = [category.id for category in categories if category.name not in COCO_ZPS]
    write_scenes(root, "train", range(1, num_images + 1), IMAGES[size], categories, seen)
    write_scenes(root, "val", range(100_001, 100_001 + num_validation), IMAGES[size], categories, seen)


def finish_stages(recipe: Recipe, run: RunDir, num_queries: int) -> ClassList:
    """Fill a run folder with finished stages for stage 2, with random content; return the class list."""
    split_dataset(recipe, run)
    classes = read_classes(run)
    random = torch.Generator().manual_seed(0)
    vectors_NC = F.normalize(torch.randn(len(classes), EMBEDDING_DIM, generator=random), dim=1)
    with recording(recipe, run, "embeddings", run.embeddings_file):
        save_embeddings(
            run.embeddings_file, ClassEmbeddings(classes.names, vectors_NC, "0" * 64, vector_source(recipe), ("{}",))
        )
    with recording(recipe, run, "base", run.base_file):
        torch.manual_seed(0)
        save_base(run, build_network(recipe.base, vectors_NC[: classes.num_seen], None, task_of(recipe)), recipe)
    with recording(recipe, run, "queries", run.queries_file):
        vectors = torch.randn(2, num_queries, recipe.base.channels, generator=random)
        class_ids = torch.randint(classes.num_seen, (num_queries,), generator=random)
        save_queries(QueryStore(vectors[0], class_ids, vectors[1]), run, {})
    return classes


@contextmanager
def finished_run(
    size: str, device: str, num_images: int = NUM_IMAGES, num_validation: int = 2
) -> Iterator[tuple[Recipe, RunDir, ClassList]]:
    """Make a recipe and a run folder for stage 2; both are removed when the block ends."""
    with tempfile.TemporaryDirectory(prefix="scaseg-benchmark-") as folder:
        root = Path(folder)
        write_images(root / "data", size, num_images, num_validation)
        recipe, run = make_recipe(size, device, root / "data"), RunDir(root / "run")
        yield recipe, run, finish_stages(recipe, run, NUM_QUERIES[size])


def measure(options: argparse.Namespace) -> Outcome:
    """Make a run folder and time iterations of both kinds in turns."""
    prepare(options.device)
    rounds = options.rounds or (10 if options.device == "cuda" or options.size == "small" else 1)
    with finished_run(options.size, options.device) as (recipe, run, classes):
        stored = StoredBatches(load_queries(recipe, run), recipe.cat.batch_size, recipe.seed)
        live = live_batches(recipe, run)
        training = GeneratorTraining(
            recipe.cat, recipe.seed, load_classifier(recipe, run), classes.num_seen, choose_device(recipe)
        )
        numbers = count()

        def iterations(batches: BatchSource, many: int) -> None:
            for _ in range(many):
                number = next(numbers)
                training.step(number, batches(number))

        ways = {"file": lambda: iterations(stored, _FROM_FILE), "live": lambda: iterations(live, 1)}
        timings = in_turns(ways, rounds, options.device)
    is_goal = options.device == "cuda" and options.size == "published"
    return Outcome(
        benchmark="cat_live",
        device=options.device,
        size=options.size,
        ratio_of="live iteration / iteration from the file",
        ratio=_FROM_FILE * timings.ratio("live", "file"),
        goal=Goal("at least", 100) if is_goal else None,
        figures={
            f"live, {seconds_of(options.device)} per iteration": timings.median("live"),
            f"from the file, {seconds_of(options.device)} per iteration": timings.median("file") / _FROM_FILE,
        },
        notes=(
            f"Live: {recipe.cat.live_images} images of {recipe.base.crop} pixels through the segmentor of the recipe "
            f"{RECIPES[options.size]}; from the file: {recipe.cat.batch_size} queries with a segment and as many "
            "without.",
        ),
        machine=machine_of(options.device),
    )


if __name__ == "__main__":
    sys.exit(run_benchmark("CAT from the query file against --live", ("cpu", "cuda"), measure))
