"""Two processes that read the training images between them write the file that one writes, and keep whole shards."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from safetensors.torch import load_file

from scaseg_cli import pipeline
from scaseg_cli.checkpoints import load_state, save_state
from scaseg_cli.data.images import ids_to_rgb, read_segments
from scaseg_cli.queries.collect import collect_shards
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.lists import open_set
from scaseg_cli.stages import stage_key

if TYPE_CHECKING:
    from damaged_world import World

CHANGES = ("queries.images_per_shard=5", "queries.batch_size=3")  # the last batch of a shard is short
TWO = ("train-cat", "--processes", "2", *(word for change in CHANGES for word in ("--set", change)))


def test_the_file_of_two_processes_is_that_of_one(world: World) -> None:
    run = RunDir(Path("run"))
    assert world.scaseg("train-cat", *TWO[3:]).code == 0
    alone = run.queries_file.read_bytes()
    shutil.rmtree(run.path / "queries")
    outcome = world.scaseg(*TWO)
    assert outcome.code == 0, outcome.err
    assert run.queries_file.read_bytes() == alone
    assert {path.name for path in run.queries_file.parent.iterdir()} == {
        "queries.safetensors",
        "record.json",
        "workers.log",
    }


def test_a_pass_that_was_cut_short_keeps_its_whole_shards(world: World) -> None:
    recipe, run = load_recipe("tiny.yaml", CHANGES), RunDir(Path("run"))
    key = stage_key(recipe, run, "queries")
    run.record_file("queries").unlink()  # as a command does before it begins; otherwise all is set aside
    collect_shards(recipe, run)
    first, *others = sorted(run.queries_file.parent.glob("shard-*.pt"))
    assert len(others) >= 3
    others[1].unlink()
    kept = load_state(first, key)
    assert kept is not None
    save_state(first, {**kept, "matched": kept["matched"] + 100.0})  # to be told from what is read again
    assert world.scaseg(*TWO).code == 0
    matched = load_file(run.queries_file)["matched"]
    assert (matched[: len(kept["matched"])] > 50).all()
    assert (matched[len(kept["matched"]) :] < 50).all()


def test_labels_that_differ_from_their_annotations_are_counted_in_every_pass(
    world: World,
) -> None:
    """One PNG of each list loses a segment after the split, which read a sample: no pass ends, and each says so."""
    recipe, run = load_recipe("tiny.yaml", ("processes=2",)), RunDir(Path("run"))
    sizes = {}
    for part in ("train", "validation"):
        images = open_set(recipe, run, part)
        record, ids_HW, *_ = read_segments(images, images.images[0])
        ids_HW[ids_HW == record.segments[0].id] = 0
        Image.fromarray(ids_to_rgb(ids_HW)).save(images.label_path(record))
        sizes[part] = len(images.images)
    pipeline.collect_queries(load_recipe("tiny.yaml", ("queries.views=2",)), run)
    pipeline.evaluate(recipe, run)
    said = world.capfd.readouterr().err
    for part, size in sizes.items():
        note = f"Labels of {part} with listed segments without a pixel: 1 of {size} read; this segment takes no part."
        assert note in said
