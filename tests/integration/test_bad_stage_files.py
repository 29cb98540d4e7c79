"""Files that another recipe, another stage or nobody wrote: refused by the stage that reads them, and named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import scaseg
from damaged_world import World, cut
from safetensors import safe_open
from safetensors.torch import save_file

import scaseg_cli


def _other_run(world: World, *changes: str) -> Path:
    """Class embeddings of another split or CLIP, in a run folder of their own."""
    arguments = ("-r", "tiny.yaml", "-w", "other", *(word for change in changes for word in ("--set", change)))
    assert scaseg(world.capfd, "split-dataset", *arguments).code == 0
    assert scaseg(world.capfd, "embed-classes", *arguments).code == 0
    return world.folder / "other" / "embeddings" / "embeddings.safetensors"


FOREIGN_EMBEDDINGS = {
    "other order": ("split.unseen=[red ring]", "does not match the split: it has another order"),
    "other CLIP": ("clip.checkpoint=null", "was made by shapes-clip with random weights, and the recipe has shapes-cl"),
}


@pytest.mark.parametrize("name", FOREIGN_EMBEDDINGS)
def test_embeddings_of_other_classes_or_another_clip(world: World, name: str) -> None:
    change, said = FOREIGN_EMBEDDINGS[name]
    file = world.folder / "run" / "embeddings" / "embeddings.safetensors"
    shutil.copy(_other_run(world, change), file)
    commands = ("train-base", "train-cat", "union-finetune", "evaluate")
    for command in commands:
        world.refuses(command, saying=("not what the embeddings stage wrote: truncated or changed", "embed-classes"))
    world.adopt("embeddings")
    for command in commands:
        world.refuses(command, saying=(said, "embed-classes"))


def test_embeddings_of_other_categories_name_one(world: World) -> None:
    shutil.copytree(world.folder / "data", world.folder / "renamed")
    for path in world.folder.glob("renamed/annotations/*.json"):
        path.write_text(path.read_text().replace('"red ring"', '"crimson ring"'))
    other = _other_run(world, "data.root=renamed", "split.unseen=[blue square]")
    shutil.copy(other, world.folder / "run" / "embeddings" / "embeddings.safetensors")
    world.adopt("embeddings")
    world.refuses("train-base", saying=("it lacks 'red ring' and has 'crimson ring', which the split lacks",))


HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "no names": ({"names": None}, r"Expected `array`, got `null` - at `\$\.names`"),
    "numbers as names": ({"names": [1, 2]}, "Expected `str`, got `int`"),
    "no fingerprint": ({"fingerprint": 5}, "Expected `str`, got `int`"),
    "a list as clip": ({"clip": ["shapes-clip"]}, "Expected `object`, got `array`"),
    "a clip without a checkpoint": ({"clip": {"model": "x"}}, "missing required field `checkpoint`"),
    "another clip": (
        {"clip": {"model": "\x1b[2J", "checkpoint": None}},
        r"was made by '\\x1b\[2J' with random weights",
    ),
    "a number as templates": ({"templates": 3}, "Expected `array`, got `int`"),
    "counts that are none": ({"names_per_class": [0]}, "Expected `int` >= 1"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_of_class_embeddings(name: str, world: World) -> None:
    file = world.folder / "run" / "embeddings" / "embeddings.safetensors"
    tensors, meta = _opened(file)
    changes, said = HEADERS[name]
    save_file(tensors, file, {"scaseg": json.dumps(json.loads(meta["scaseg"]) | changes)})
    world.adopt("embeddings")
    world.refuses("train-base", saying=(rf"embeddings\.safetensors.*{said}", "embed-classes"))


def test_vectors_of_class_embeddings(world: World) -> None:
    file = world.folder / "run" / "embeddings" / "embeddings.safetensors"
    tensors, meta = _opened(file)
    vectors = tensors["vectors"]
    for wrong, said in (
        (vectors[:-1].clone(), r"vectors of float32 \[\d+, \d+\], not \d+ vectors"),
        (vectors.double(), "vectors of float64"),
        (vectors[0].clone(), r"vectors of float32 \[\d+\]"),
        (vectors * 2, "vectors that are not of length 1"),
    ):
        save_file({"vectors": wrong}, file, meta)
        world.adopt("embeddings")
        world.refuses("train-base", saying=(rf"embeddings\.safetensors has {said}", "embed-classes"))
    save_file({"vectors": vectors, "name_vectors": vectors.clone()}, file, meta)
    world.adopt("embeddings")
    world.refuses("train-base", saying=("does not count the names of every class",))


def _opened(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def test_weights_of_clip_that_were_replaced(world: World) -> None:
    """A checkpoint file under the same name with other weights: V2C would align with another space."""
    shipped = Path(scaseg_cli.__file__).parent / "shapes" / "clip.safetensors"
    mine = world.folder / "mine.safetensors"
    shutil.copy(shipped, mine)
    with_mine = ("--set", "clip.checkpoint=mine.safetensors")
    assert world.scaseg("embed-classes", *with_mine).code == 0
    tensors, meta = _opened(mine)
    name = next(iter(tensors))
    save_file({**tensors, name: tensors[name] + 1}, mine, meta)
    world.refuses("train-base", *with_mine, saying=("mine.safetensors has changed since",))
    cut(mine)
    world.refuses("embed-classes", *with_mine, saying=("mine.safetensors", "damaged|truncated"))
    world.refuses("train-base", "--set", "clip.checkpoint=null", saying=("embeddings was made by another recipe",))


OUTPUTS = {
    # stage: its file, the commands that read it
    "embeddings": ("embeddings.safetensors", ("train-base", "union-finetune")),
    "base": ("base.safetensors", ("train-cat", "union-finetune", "evaluate")),
    "queries": ("queries.safetensors", ("union-finetune",)),
    "cat": ("generator.safetensors", ("union-finetune",)),
    "union": ("best.safetensors", ("evaluate",)),
}


def _readers() -> list[tuple[str, str]]:
    return [(stage, command) for stage, (_, commands) in OUTPUTS.items() for command in commands]


def _lose_a_tensor(path: Path) -> None:
    tensors, meta = _opened(path)
    del tensors[min(tensors)]
    save_file(tensors, path, meta)


@pytest.mark.parametrize(("stage", "command"), _readers())
def test_a_file_that_its_stage_did_not_write(world: World, stage: str, command: str) -> None:
    file = world.folder / "run" / stage / OUTPUTS[stage][0]
    cut(file)
    world.refuses(command, saying=(rf"{stage}/\S+ is not what the {stage} stage wrote: truncated or changed",))
    file.unlink()
    world.refuses(command, saying=(rf"{stage}/\S+ is gone", "Run `scaseg "))


@pytest.mark.parametrize(("stage", "command"), _readers())
def test_a_file_of_another_stage_or_with_tensors_missing(world: World, stage: str, command: str) -> None:
    """As the last check: the record agrees with the file, and the file itself is wrong."""
    file = world.folder / "run" / stage / OUTPUTS[stage][0]
    saved = file.read_bytes()
    kinds = {
        "embeddings": "class embeddings", "base": "base model", "queries": "query embeddings", "cat": "generator",
        "union": "projector",
    }  # fmt: skip
    # The base model's tensors are read by the pass over the images alone, which another number of views asks for.
    changes = ("--set", "queries.views=2") if command == "train-cat" else ()
    later = {"embeddings": "base", "base": "union", "queries": "cat", "cat": "union", "union": "base"}[stage]
    shutil.copy(world.folder / "run" / later / OUTPUTS[later][0], file)
    world.adopt(stage)
    world.refuses(command, *changes, saying=(rf"{stage}/\S+ holds {kinds[later]}, not {kinds[stage]}", "Run `scaseg "))
    file.write_bytes(saved)
    cut(file)
    world.adopt(stage)
    world.refuses(command, *changes, saying=(rf"{stage}/\S+ is damaged or truncated", "Run `scaseg "))
    file.write_bytes(saved)
    _lose_a_tensor(file)
    world.adopt(stage)
    world.refuses(command, *changes, saying=(rf"{stage}/\S+ (lacks|has the tensors)", "Run `scaseg "))


def test_query_embeddings_changed_in_place_are_made_anew(world: World) -> None:
    """train-cat writes the file itself: what it tells others to run must fix it."""
    file = world.folder / "run" / "queries" / "queries.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    world.refuses("union-finetune", saying=("queries.safetensors is not what the queries stage wrote", "train-cat"))
    assert world.scaseg("train-cat").code == 0
    assert file.read_bytes() == content
    assert world.scaseg("union-finetune").code == 0


def test_evaluation_without_stages_2_and_3(world: World) -> None:
    for stage in ("queries", "cat", "union"):
        shutil.rmtree(world.folder / "run" / stage)
    world.refuses("evaluate", saying=("run has no finished union stage", "Run `scaseg union-finetune`"))
    assert world.scaseg("evaluate", "--set", "evaluation.setting=inductive").code == 0


def test_a_base_model_of_another_recipe(world: World) -> None:
    wider = ("--set", "base.channels=32")
    for command, at in (("train-cat", "base"), ("union-finetune", "cat|base"), ("evaluate", "union|base")):
        world.refuses(command, *wider, saying=(rf"run/({at}) was made by another recipe", "Run `scaseg ", "--work-dir"))
    # another recipe's file under this recipe's record
    for stage in ("split", "embeddings", "base"):
        shutil.copytree(world.folder / "run" / stage, world.folder / "wide" / stage)
    narrow = world.folder / "wide" / "base" / "base.safetensors"
    assert scaseg(world.capfd, "train-base", "-r", "tiny.yaml", "-w", "wide", *wider).code == 0
    shutil.copy(narrow, world.folder / "run" / "base" / "base.safetensors")
    world.adopt("base")
    for command in ("train-cat", "union-finetune", "evaluate"):
        changes = ("--set", "queries.views=2") if command == "train-cat" else ()
        world.refuses(command, *changes, saying=("base.safetensors has other shapes for \\S+, ", "scaseg train-base"))


PROGRESS = {
    # a progress file, and the command that resumes from it
    "base/progress.pt": "train-base",
    "queries/shard-00000.pt": "train-cat",
    "cat/progress.pt": "train-cat",
    "union/progress-method.pt": "union-finetune",
    "union/progress-control.pt": "union-finetune",
}


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None], ids=["empty", "text", "cut short"])
@pytest.mark.parametrize("name", PROGRESS)
def test_damaged_progress(world: World, name: str, content: bytes | None) -> None:
    file = world.folder / "run" / name
    file.with_name("record.json").unlink()  # the stage was interrupted
    if content is None:
        torch.save({"key": "x", "tensor": torch.zeros(1000)}, file)
        cut(file)
    else:
        file.write_bytes(content)
    world.refuses(PROGRESS[name], saying=(rf"{name} is damaged or truncated", "Delete it and start the command"))


def test_a_damaged_record(world: World) -> None:
    cut(world.folder / "run" / "base" / "record.json")
    world.refuses("train-cat", saying=(r"base/record\.json is not valid JSON", "Delete it"))
