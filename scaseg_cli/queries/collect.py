"""Runs the frozen segmentor over the training images, to collect the training data of stages 2 and 3.

Shapes: B images, Q queries, D visual width.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from scaseg_cli import launch
from scaseg_cli.base.dataset import Key, collate, training_views
from scaseg_cli.base.device import num_processes, part_of_world, world_size
from scaseg_cli.base.network import host_module
from scaseg_cli.base.segmentor import Segmentor, load_segmentor
from scaseg_cli.checkpoints import load_state, save_state
from scaseg_cli.data.label_tally import LabelTally
from scaseg_cli.data.prefetch import prefetched
from scaseg_cli.errors import ScasegError
from scaseg_cli.queries.store import QueryStore, save_queries
from scaseg_cli.results.console import Meter, meter, say
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.results.table import Column, Table
from scaseg_cli.seeds import drawn_seed, seeded
from scaseg_cli.split.lists import open_set
from scaseg_cli.stages import recording, require, stage_key
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

Rows = tuple[Tensor, Tensor, Tensor]  # matched [M, D], their class ids [M], unmatched [U, D]
_AHEAD = 2  # batches that are read while the network processes one
_COLUMNS = ("matched", "classes", "null")


class QueryReader:
    """Computes V and V^0 of training views with the frozen segmentor.

    Args:
        recipe: its base section defines the views, its queries section the number of unmatched queries to keep.
        run: the run folder.
        segmentor: the frozen segmentor.
    """

    def __init__(self, recipe: Recipe, run: RunDir, segmentor: Segmentor) -> None:
        self.recipe, self.segmentor = recipe, segmentor
        self.views = training_views(recipe, run)

    def load(self, keys: list[Key]) -> dict[str, Any]:
        """Read the views ``keys`` from their files; nothing is drawn from PyTorch's random state."""
        return collate([self.views[key] for key in keys])

    @torch.no_grad()
    def match(self, batch: dict[str, Any], keys: list[Key], word: str) -> Rows:
        """Compute matched embeddings, their classes, and a sample of the unmatched ones, of the loaded views ``keys``.

        A key is (image, position). ``word`` and the keys determine all random draws.
        """
        seed = self.recipe.seed
        torch.manual_seed(drawn_seed(seed, word, keys[0][1]))  # matching compares masks at random points
        visual, matches = self.segmentor.match(batch)
        matched, classes, null = [], [], []
        for i, (query, class_ids, empty) in enumerate(matches):
            matched.append(visual[i, query])
            classes.append(class_ids.cpu())
            unmatched = visual[i, empty]
            order = torch.randperm(len(unmatched), generator=seeded(seed, word, keys[i][1], 1))
            null.append(unmatched[order[: self.recipe.queries.unmatched_per_image].to(visual.device)])
        return torch.cat(matched).cpu(), torch.cat(classes), torch.cat(null).cpu()


def collect_queries(recipe: Recipe, run: RunDir) -> StageReport:
    """Write the query embeddings of the training images; resumes after the complete shards of the same recipe.

    With several GPUs, processes or nodes, workers divide the shards; the resulting file is identical to the byte.

    Raises:
        ScasegError: the base model is missing or from another recipe, or an image cannot be read.
    """
    require(recipe, run, "split", "embeddings", "base")
    with recording(recipe, run, "queries", run.queries_file) as summary:
        if num_processes(recipe) > 1:
            modules = [host_module(task_of(recipe))]
            launch.launch_workers(recipe, run, world_size(recipe), f"{__name__}:collect_shards", "queries", modules)
        else:
            collect_shards(recipe, run)
        num_images = len(open_set(recipe, run, "train").images)
        files = _files(run, _shards(recipe, num_images))
        (matched, classes, null), tally = _joined(files, stage_key(recipe, run, "queries"))
        for note in tally.notes("train"):
            say(note)
        if not len(matched):
            raise ScasegError("no query matches a training segment", "Train the base model for longer.")
        save_queries(QueryStore(matched, classes, null), run, {"views": recipe.queries.views})
        summary.update(images=num_images, matched=len(matched), unmatched=len(null))
        summary["classes"] = len(classes.unique())
    for file in files:
        file.unlink(missing_ok=True)
    columns = [Column("what", "", "text"), Column("count", "number", "count")]
    titles = {
        "images": "training images",
        "matched": "queries with a segment",
        "unmatched": "queries without one (sampled)",
    }
    rows = [{"what": title, "count": summary[name]} for name, title in titles.items()]
    table = Table("queries: embeddings of the frozen segmentor", columns, rows, [])
    return StageReport("queries", [table], [run.queries_file], "scaseg train-cat", dict(summary))


def collect_shards(recipe: Recipe, run: RunDir) -> None:
    """Run one process's part: process r of n reads every n-th shard from r on. Complete shards are kept."""
    world = part_of_world(recipe)
    key = stage_key(recipe, run, "queries")
    reader = QueryReader(recipe, run, load_segmentor(recipe, run))
    shards = _shards(recipe, len(reader.views))
    own = list(zip(shards, _files(run, shards), strict=True))[world.rank :: world.size]
    with meter("queries", sum(len(shard) for shard, _ in own), unit="images") as shown:
        missing = []
        for shard, file in own:
            if load_state(file, key) is None:
                missing.append((shard, file))
            else:
                shown.advance(len(shard))
        size = recipe.queries.batch_size
        batches = [batch for shard, _ in missing for batch in _batches(shard, size)]
        with closing(prefetched(reader.load, batches, workers=1, depth=_AHEAD)) as loaded:
            for shard, file in missing:
                save_state(file, {"key": key, **_read_shard(reader, loaded, shard, size, shown)})


def _batches(shard: list[Key], size: int) -> list[list[Key]]:
    return [shard[first : first + size] for first in range(0, len(shard), size)]


def _shards(recipe: Recipe, num_images: int) -> list[list[Key]]:
    """Divide the keys of all views into shards, which are computed and saved one at a time."""
    keys = [(image, view * num_images + image) for view in range(recipe.queries.views) for image in range(num_images)]
    size = recipe.queries.images_per_shard
    return [keys[first : first + size] for first in range(0, len(keys), size)]


def _files(run: RunDir, shards: list[list[Key]]) -> list[Path]:
    return [run.path / "queries" / f"shard-{number:05d}.pt" for number in range(len(shards))]


def _read_shard(
    reader: QueryReader, loaded: Iterator[dict[str, Any]], shard: list[Key], size: int, shown: Meter
) -> dict[str, Tensor]:
    """Compute a shard; the next batches are read in the background while the network processes one."""
    rows = []
    for batch in _batches(shard, size):
        rows.append(reader.match(next(loaded), batch, "queries"))
        shown.advance(len(batch))
    tally = LabelTally()
    for image, position in shard:
        if position == image:  # the first view; the others show the same label
            tally.add(*reader.views.differing[image])
    columns = dict(zip(_COLUMNS, (torch.cat(column) for column in zip(*rows, strict=True)), strict=True))
    return columns | {"labels": torch.from_numpy(tally.counts)}


def _joined(files: list[Path], key: str) -> tuple[Rows, LabelTally]:
    """Join all shards, in order, and add up the labels that differ from their annotations.

    Raises:
        ScasegError: a written shard is missing, for example because the nodes do not share the folder.
    """
    tally, lengths = LabelTally(), []
    for file in files:
        saved = _saved(file, key)
        lengths.append([len(saved[name]) for name in _COLUMNS])
        tally.counts[:] += saved["labels"].numpy()
    # the files are read again one by one, so that memory holds the embeddings once
    totals = [sum(of_column) for of_column in zip(*lengths, strict=True)]
    joined = [
        saved[name].new_empty(total, *saved[name].shape[1:]) for name, total in zip(_COLUMNS, totals, strict=True)
    ]
    ends = [0] * len(_COLUMNS)
    for file in files:
        saved = _saved(file, key)
        for column, name in enumerate(_COLUMNS):
            part = saved[name]
            joined[column][ends[column] : ends[column] + len(part)] = part
            ends[column] += len(part)
    return (joined[0], joined[1], joined[2]), tally


def _saved(file: Path, key: str) -> dict[str, Any]:
    saved = load_state(file, key)
    if saved is None:
        raise ScasegError(
            f"{file} was written but is not here",
            "Run `scaseg train-cat` again. Several nodes need a run folder on a file system that all of them share.",
        )
    return saved


def live_batches(recipe: Recipe, run: RunDir) -> Callable[[int], Rows]:
    """The batch source of `train-cat --live`: runs the segmentor at every step, on new views."""
    reader = QueryReader(recipe, run, load_segmentor(recipe, run))
    num_images, size = len(reader.views), recipe.cat.live_images
    say(f"cat: live, running the segmentor on {size} images at every step")

    def keys_of(iteration: int) -> list[Key]:
        images = torch.randint(num_images, (size,), generator=seeded(recipe.seed, "live", iteration)).tolist()
        return [(image, iteration * size + i) for i, image in enumerate(images)]

    pool = ThreadPoolExecutor(1, thread_name_prefix="live-views")
    ahead: dict[int, Future[dict[str, Any]]] = {}  # the next iteration's views, read while the network runs

    def batch(iteration: int) -> Rows:
        waiting = ahead.pop(iteration, None)
        loaded = reader.load(keys_of(iteration)) if waiting is None else waiting.result()
        ahead.clear()
        ahead[iteration + 1] = pool.submit(reader.load, keys_of(iteration + 1))
        return reader.match(loaded, keys_of(iteration), "live-views")

    return batch
