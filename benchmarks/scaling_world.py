"""Images, classes and finished stages of any number, at the smallest sizes, for measuring how cost grows.

One pool of scenes of 64 pixels serves all numbers of images: a world lists a part of it. Weights, class vectors and
query embeddings are random, which changes no cost.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scenes import scene

from scaseg_cli.base.network import build_network
from scaseg_cli.base.segmentor import save_base
from scaseg_cli.cat.train import train_generator
from scaseg_cli.clip.load import load_clip
from scaseg_cli.data.images import ids_to_rgb
from scaseg_cli.embeddings.encoders import vector_source
from scaseg_cli.embeddings.store import ClassEmbeddings, load_embeddings, save_embeddings
from scaseg_cli.queries.store import QueryStore, save_queries
from scaseg_cli.recipe import load_recipe
from scaseg_cli.split.classes import read_classes
from scaseg_cli.split.split import split_dataset
from scaseg_cli.stages import recording
from scaseg_cli.tasks import task_of
from scaseg_cli.union.finetune import union_finetune

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

SIDE = 64
SEEN = 0.8  # of the classes
# A network so small that thousands of images take seconds; the recipe has the rest.
_SMALL = (
    "base.backbone.width=8",
    "base.channels=32",
    "base.feedforward=32",
    "base.pixel_feedforward=32",
    "base.decoder_layers=1",
    "base.num_points=128",
    "base.crop=32",
    "base.eval_size=32",
    "base.eval_max_size=32",
    "cat.hidden=64",
    "cat.batch_size=64",
    "union.batch_size=64",
    "union.num_null=64",
)
_STAGES = ("split", "embeddings", "base", "queries", "cat", "union")


@dataclass(frozen=True)
class World:
    """What a world has; each number is one dimension of cost.

    Attributes:
        task: ``zps`` or ``zss``.
        train, selection, validation: images of each list.
        classes: seen and unseen ones.
        queries: of the network, for each image.
        stored: query embeddings that stages 2 and 3 train on.
        iterations: of stages 1 to 3.
        candidates: classifiers that stage 3 tries, two models at half as many increments.
    """

    task: str = "zps"
    train: int = 16
    selection: int = 16
    validation: int = 16
    classes: int = 20
    queries: int = 16
    stored: int = 1000
    iterations: int = 5
    candidates: int = 8

    @property
    def num_seen(self) -> int:
        """Number of seen classes."""
        return int(SEEN * self.classes)

    @property
    def names(self) -> list[str]:
        """The names of the classes, seen ones first."""
        return [f"{_word(number // 676)} {_word(number % 676)}" for number in range(self.classes)]

    @property
    def name(self) -> str:
        """All numbers, as the name of a folder."""
        return "-".join(str(getattr(self, field.name)) for field in fields(self))

    def root(self, shared: Path) -> Path:
        """The folder of its images, which worlds with as many classes share."""
        return shared / f"classes-{self.classes}"

    def annotations(self, shared: Path, part: str) -> Path:
        """The panoptic annotations of ``part``."""
        return self.root(shared) / "lists" / self.name / f"{part}.json"


def _word(number: int) -> str:
    """A word of its own for each number below 676."""
    return f"{'bcdfghjklmnprstvwxyzaeiouq'[number // 26]}{'aeioubcdfghjklmnprstvwxyzq'[number % 26]}{number}"


def category_id(class_id: int) -> int:
    """The value of a class in a label map, in which 0 is not used and 255 means no label."""
    return class_id + (1 if class_id < 254 else 2)


def write_pool(folder: Path, first: int, number: int, class_ids: range) -> list[dict[str, object]]:
    """Write scenes, their panoptic PNGs and label maps, once; return their annotations."""
    listed = folder / f"pool-{first}-{number}-{class_ids.start}-{class_ids.stop}.json"
    if listed.is_file():
        return json.loads(listed.read_bytes())  # type: ignore[no-any-return]
    for name in ("images", "panoptic", "maps"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    found = []
    for image_id in range(first, first + number):
        pixels, label, record = scene(image_id, SIDE, SIDE, [category_id(class_id) for class_id in class_ids])
        Image.fromarray(pixels).save(folder / "images" / record.file_name, quality=95)
        Image.fromarray(ids_to_rgb(label)).save(folder / "panoptic" / record.label_name)
        category = np.zeros(label.max() + 1, np.uint16)
        for segment in record.segments:
            category[segment.id] = segment.category_id
        cv2.imwrite(str(folder / "maps" / record.label_name), category[label])
        segments = [{key: getattr(segment, key) for key in segment.__struct_fields__} for segment in record.segments]
        found.append({"image_id": image_id, "file_name": record.label_name, "segments_info": segments})
    listed.write_text(json.dumps(found), encoding="utf-8")
    return found


def write_world(shared: Path, world: World) -> Recipe:
    """Write the lists of a world in ``shared``, and its images if the pool lacks them; return its recipe."""
    root, place = world.root(shared), world.annotations(shared, "train").parent
    seen, every = range(world.num_seen), range(world.classes)
    lists = {
        "train": _of_pool(root, 1, world.train, seen),
        "selection": _of_pool(root, 100_001, world.selection, every),
        "validation": _of_pool(root, 200_001, world.validation, every),
    }
    place.mkdir(parents=True, exist_ok=True)
    categories = [{"id": category_id(k), "name": text, "isthing": int(k % 2)} for k, text in enumerate(world.names)]
    for part, listed in lists.items():
        images = [
            {"id": one["image_id"], "file_name": f"{one['image_id']:012d}.jpg", "width": SIDE, "height": SIDE}
            for one in listed
        ]
        content = {"images": images, "annotations": listed, "categories": categories}
        (place / f"{part}.json").write_text(json.dumps(content), encoding="utf-8")
        if world.task == "zss":  # all files of a folder are read, so each list has folders of its own
            _link_all(root, place / part, listed)
    (place / "categories.json").write_text(json.dumps(categories), encoding="utf-8")
    (place / "unseen.txt").write_text("\n".join(world.names[world.num_seen :]), encoding="utf-8")
    return load_recipe(f"shapes-{world.task}", changes_of(shared, world))


def changes_of(shared: Path, world: World) -> tuple[str, ...]:
    """What the recipe of a world changes in that of the embedded world, as ``--set`` takes it."""
    place = world.annotations(shared, "train").parent
    increments = [0.25 * step for step in range(max(1, world.candidates // 2))]
    sets = []
    for part in (place / name for name in ("train", "selection", "validation")):
        if world.task == "zps":
            folders = f"images: images, annotations: {part}.json, labels: panoptic"
        else:
            folders = f"images: {part}-images, annotations: null, labels: {part}-maps"
        sets.append(f"data.{part.name}={{{folders}}}")
    if world.task == "zss":
        sets.append(f"data.categories={place / 'categories.json'}")
    return (
        *sets,
        *_SMALL,
        f"data.root={world.root(shared)}",
        "data.shapes=null",
        f"split.unseen={place / 'unseen.txt'}",
        "base.backbone.checkpoint=null",
        f"base.num_queries={world.queries}",
        f"base.iterations={world.iterations}",
        "base.batch_size=2",
        "base.warmup=0",
        "base.validate_every=0",
        f"cat.iterations={world.iterations}",
        f"union.iterations={world.iterations}",
        "union.candidates=1",
        "union.control=false",
        "evaluation.object_threshold=0.0",
        f"evaluation.increments={increments}",
        "tensorboard=false",
    )


def _link_all(root: Path, prefix: Path, annotations: list[dict[str, object]]) -> None:
    """Link images and label maps into the folders PREFIX-images and PREFIX-maps."""
    for name, suffix in (("images", ".jpg"), ("maps", ".png")):
        folder = prefix.with_name(f"{prefix.name}-{name}")
        folder.mkdir(exist_ok=True)
        for one in annotations:
            file_name = str(Path(str(one["file_name"])).with_suffix(suffix))
            if not (folder / file_name).exists():
                os.link(root / name / file_name, folder / file_name)


def _of_pool(root: Path, first: int, number: int, class_ids: range) -> list[dict[str, object]]:
    """The first ``number`` scenes of a pool, which is written in pieces of growing size."""
    found: list[dict[str, object]] = []
    while len(found) < number:
        size = 16 if len(found) < 64 else 1000
        found += write_pool(root, first + len(found), size, class_ids)
    return found[:number]


def finish(recipe: Recipe, run: RunDir, world: World, last: str) -> None:
    """Fill a run folder with finished stages up to ``last``; those before stage 2 have random content."""
    for stage in _STAGES[: _STAGES.index(last) + 1]:
        _FINISH[stage](recipe, run, world)


def _split(recipe: Recipe, run: RunDir, world: World) -> None:
    del world
    split_dataset(recipe, run)


def _embeddings(recipe: Recipe, run: RunDir, world: World) -> None:
    random, clip = torch.Generator().manual_seed(0), load_clip(recipe.clip)
    vectors_NC = F.normalize(torch.randn(world.classes, clip.dim, generator=random), dim=1)
    source = vector_source(recipe)
    with recording(recipe, run, "embeddings", run.embeddings_file):
        found = ClassEmbeddings(read_classes(run).names, vectors_NC, clip.fingerprint, source, ("{}",))
        save_embeddings(run.embeddings_file, found)


def _base(recipe: Recipe, run: RunDir, world: World) -> None:
    torch.manual_seed(0)
    seen_SC = load_embeddings(recipe, run).vectors_NC[: world.num_seen]
    with recording(recipe, run, "base", run.base_file):
        save_base(run, build_network(recipe.base, seen_SC, None, task_of(recipe)), recipe)


def _queries(recipe: Recipe, run: RunDir, world: World) -> None:
    random = torch.Generator().manual_seed(0)
    vectors_2MD = torch.randn(2, world.stored, recipe.base.channels, generator=random)
    class_ids_M = torch.arange(world.stored) % world.num_seen
    with recording(recipe, run, "queries", run.queries_file):
        save_queries(QueryStore(vectors_2MD[0], class_ids_M, vectors_2MD[1]), run, {})


def _cat(recipe: Recipe, run: RunDir, world: World) -> None:
    del world
    train_generator(recipe, run)


def _union(recipe: Recipe, run: RunDir, world: World) -> None:
    del world
    union_finetune(recipe, run)


_FINISH = {
    "split": _split,
    "embeddings": _embeddings,
    "base": _base,
    "queries": _queries,
    "cat": _cat,
    "union": _union,
}
