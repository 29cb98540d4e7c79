"""What a person reads when something they gave is wrong: exit code 2, a few lines, and nothing lost."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from command_line import Outcome, assert_nothing_lost, contents, scaseg
from damaged_world import RECIPE, World, check_refusal, cut
from PIL import Image

from scaseg_cli.run_dir import RunDir
from scaseg_cli.shapes.world import CLASSES
from scaseg_cli.split.lists import read_image_ids

if TYPE_CHECKING:
    from collections.abc import Callable


def _remove(path: Path) -> None:
    path.unlink()


def _crop(image_file: Path) -> None:
    Image.open(image_file).crop((0, 0, 60, 64)).save(image_file)


def test_all_mistakes_of_a_recipe_come_at_once_by_their_dotted_names(world: World) -> None:
    (world.folder / "tiny.yaml").write_text(RECIPE + "optimizer: adam\n")
    changes = ("base.v2c.gama=3", "cat.tau_r=0", "union.iteratons=5", "base.amp=half", "task=pzs")
    world.refuses(
        "run",
        *(word for change in changes for word in ("--set", change)),
        saying=(
            "6 mistakes",
            r"optimizer: unknown key",
            r"base\.v2c\.gama: unknown key, did you mean 'gamma'\?",
            r"cat\.tau_r: should be greater than 0 \(it is 0\)",
            r"union\.iteratons: unknown key, did you mean 'iterations'\?",
            r"base\.amp: should be 'off', 'bf16' or 'fp16' \(it is 'half'\)",
            r"task: should be 'zps' or 'zss' \(it is 'pzs'\)",
            "scaseg recipe show",
        ),
        lines=9,
    )


def test_a_process_says_it_on_its_own_streams(world: World) -> None:
    command = [sys.executable, "-m", "scaseg_cli", "run", "-r", "tiny.yaml", "-w", "run", "--set", "base.v2c.gama=3"]
    before = contents(world.folder / "run")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    check_refusal(Outcome(done.returncode, done.stdout, done.stderr), (r"base\.v2c\.gama: unknown key",))
    assert done.stderr.startswith("error: ")
    assert_nothing_lost(before, world.folder / "run")


# Annotation files


@pytest.mark.parametrize(
    ("damage", "at_split", "at_training"),
    [
        (_remove, r"panoptic_train\.json does not exist", r"panoptic_train\.json is gone"),
        (cut, r"panoptic_train\.json is not valid JSON", r"panoptic_train\.json has changed since"),
    ],
    ids=["missing", "cut short"],
)
def test_annotation_file(world: World, damage: Callable[[Path], None], at_split: str, at_training: str) -> None:
    damage(world.folder / "data" / "annotations" / "panoptic_train.json")
    world.refuses("split-dataset", saying=(at_split,))
    world.refuses("run", saying=(at_split,))
    world.refuses("train-base", saying=(at_training, "scaseg split-dataset"))
    world.refuses("evaluate", saying=(at_training,))


def _segments(content: dict[str, Any]) -> list[dict[str, Any]]:
    return content["annotations"][0]["segments_info"]


WRONG_ANNOTATIONS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "image id twice": (lambda c: c["images"].append(c["images"][0]), r"image id \d+ occurs twice"),
    "two annotations": (lambda c: c["annotations"].append(c["annotations"][0]), r"image \d+ has two annotations"),
    "segment id twice": (
        lambda c: _segments(c).append(_segments(c)[0]), r"image \d+: segment id \d+ occurs twice"
    ),
    "foreign category": (
        lambda c: _segments(c)[0].update(category_id=77), r"segment \d+ has category_id 77, which is not among"
    ),
    "image outside": (
        lambda c: c["images"][0].update(file_name="../../run/recipe.yaml"),
        r"file name '../../run/recipe.yaml', which leads out of data/",
    ),
    "label outside": (
        lambda c: c["annotations"][0].update(file_name="/etc/passwd"), r"'/etc/passwd', which leads out of"
    ),
    "key missing": (lambda c: c["images"][0].pop("width"), r"images\[0\]: the key 'width' is missing"),
}  # fmt: skip


@pytest.mark.parametrize("part", ["train", "validation"])
@pytest.mark.parametrize("name", WRONG_ANNOTATIONS)
def test_wrong_annotations(world: World, name: str, part: str) -> None:
    change, said = WRONG_ANNOTATIONS[name]
    world.edit(part, change)
    world.refuses("split-dataset", saying=(rf"panoptic_{part}\.json", said))


def test_many_wrong_annotations_are_counted(world: World) -> None:
    def all_foreign(content: dict[str, Any]) -> None:
        for annotation in content["annotations"]:
            for segment in annotation["segments_info"]:
                segment["category_id"] = 77

    world.edit("train", all_foreign)
    world.refuses("split-dataset", saying=(r"has \d\d+ mistakes", "category_id 77", r"and \d+ more"))


# Images and labels

# Each command, and the set whose pixels it reads. The query embeddings are collected again for another number of views.
READERS = {
    "train-base": ("train", ()),
    "train-cat": ("train", ("--set", "queries.views=2")),
    "union-finetune": ("selection", ()),
    "evaluate": ("validation", ()),
}
PIXELS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "image missing": ("{part}", _remove, r"\d+\.png does not exist"),
    "label missing": ("annotations/panoptic_{part}", _remove, r"\d+\.png does not exist"),
    "image cut short": ("{part}", cut, r"the image data/\S+\.png cannot be read: .*\n.*truncated"),
    "label cut short": (
        "annotations/panoptic_{part}", cut, r"the panoptic PNG data/\S+\.png cannot be read: .*\n.*truncated"
    ),
    "image of another size": ("{part}", _crop, "is 60 x 64 pixels, but the annotation file says 64 x 64"),
    "label of another size": ("annotations/panoptic_{part}", _crop, "is 60 x 64 pixels, but the annotation file says"),
}  # fmt: skip


@pytest.mark.parametrize("folder", ["train", "selection", "annotations/panoptic_validation"])
def test_a_split_without_all_its_files(world: World, folder: str) -> None:
    files = sorted((world.folder / "data" / folder).glob("*.png"))
    # Of the training images, those that hold unseen classes need not be there.
    kept = {f"{image_id:012d}.png" for ids in read_image_ids(RunDir(Path("run"))).values() for image_id in ids}
    gone = [file for file in files if file.name in kept][:7]
    for file in gone:
        file.unlink()
    said = (
        f"data/{folder} has 7 mistakes",
        rf"{gone[0].name} does not exist",
        "and 2 more",
        "all files were downloaded",
    )
    world.refuses("split-dataset", saying=said)
    shutil.rmtree(world.folder / "data" / folder)
    world.refuses("split-dataset", saying=(f"data/{folder} does not exist",))


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("name", PIXELS)
def test_images_and_labels(world: World, name: str, command: str) -> None:
    where, damage, said = PIXELS[name]
    part, changes = READERS[command]
    files = sorted((world.folder / "data" / where.format(part=part)).glob("*.png"))
    for file in files:  # all, since a few iterations look at a few images
        damage(file)
    world.refuses(command, *changes, saying=(said, re.escape(where.format(part=part))))


# Places and machines


@pytest.mark.parametrize("command", ["run", "split-dataset"])
@pytest.mark.parametrize(
    "place",
    [
        "tiny.yaml",
        "tiny.yaml/run",
        pytest.param("/sys/run", marks=pytest.mark.skipif(not Path("/sys").is_dir(), reason="Linux alone has it")),
    ],
)
def test_a_work_folder_that_cannot_be_written(world: World, command: str, place: str) -> None:
    """Below a file, and where the system lets nobody write, root neither."""
    outcome = scaseg(world.capfd, command, "-r", "tiny.yaml", "-w", place)
    check_refusal(outcome, (rf"the run folder {place} cannot be", "--work-dir"))
    assert (world.folder / "tiny.yaml").read_text() == RECIPE


@pytest.mark.parametrize("command", ["train-base", "evaluate"])
def test_a_finished_run_that_cannot_be_written(world: World, command: str) -> None:
    lock = world.folder / "run" / ".lock"
    lock.unlink()
    lock.mkdir()  # root too cannot open it for writing
    world.refuses(command, saying=("the run folder run cannot be written", "--work-dir"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has it")
def test_a_disk_without_space(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scaseg_cli.results.console.own_file", lambda _, flags: os.open("/dev/full", flags))
    world.refuses("evaluate", saying=("No space left on device", "Free some space"))


@pytest.mark.parametrize("command", ["run", "split-dataset", "train-base", "evaluate"])
def test_more_gpus_than_there_are(world: World, command: str) -> None:
    if torch.cuda.device_count() >= 8:
        pytest.skip("this machine has eight")
    said = ("this machine has \\d CUDA devices?, 8 were requested", "Use --gpus 0 to run on the CPU")
    world.refuses(command, "--gpus", "8", saying=said)


# Splits


def test_unseen_names_that_the_data_lacks(world: World) -> None:
    said = (
        r"split\.unseen names 2 of 3 classes that the data lacks",
        r"'red rnig': did you mean 'red ring'",
        r"'Blue sqare': did you mean 'blue square'",
        "class list of the data",
    )
    world.refuses("split-dataset", "--set", "split.unseen=[red rnig, green cross, Blue sqare]", saying=said)
    said = (r"'shape-zps': neither a known split \(.*shapes-zps.*\) nor a file", "Did you mean 'shapes-zps'")
    world.refuses("run", "--set", "split.unseen=shape-zps", saying=said)


def test_a_split_of_other_data(world: World) -> None:
    said = ("coco-zps", "names 14 of 14 classes that the data lacks", "'giraffe'", "class list of the data")
    world.refuses("split-dataset", "--set", "split.unseen=coco-zps", saying=said, lines=16)


def test_a_split_that_leaves_no_image(world: World) -> None:
    names = world.folder / "names.txt"
    names.write_text("\n".join(cls.name for cls in CLASSES if cls.name != "red plain"))
    said = ("the split leaves no training image: all 24 hold segments of unseen classes", r"\(\d+\)", "split.unseen")
    world.refuses("split-dataset", "--set", "split.unseen=names.txt", saying=said)
    world.refuses("run", "--set", "split.unseen=names.txt", saying=said)


def test_a_selection_without_unseen_classes(world: World) -> None:
    """Found when all is trained: the snapshots must be there for another try with other images."""

    def only_seen(content: dict[str, Any]) -> None:
        seen = {cls.category_id for cls in CLASSES if not cls.unseen}
        kept = {a["image_id"] for a in content["annotations"] if {s["category_id"] for s in a["segments_info"]} <= seen}
        assert kept
        for key, name in (("images", "id"), ("annotations", "image_id")):
            content[key] = [item for item in content[key] if item[name] in kept]

    world.edit("selection", only_seen)
    assert world.scaseg("split-dataset").code == 0
    outcome = world.scaseg("run")
    check_refusal(outcome, ("selection images do not hold both seen and unseen classes", "data.selection"))
