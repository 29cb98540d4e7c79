import hashlib
import json
from pathlib import Path

import pytest
from panoptic_files import CATEGORIES, striped, write_panoptic_set

from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split import same_images
from scaseg_cli.split.same_images import same_files, sizes_of
from scaseg_cli.split.split import split_dataset


@pytest.fixture
def folder(tmp_path):
    long = bytes(range(256)) * 40
    contents = {
        "a1": long, "a2": b"x" + long, "a3": b"same size", "a4": b"z" * 9000 + b"end",
        "b1": long, "b2": b"y" + long, "b3": b"sane size", "b4": b"alone", "b5": b"z" * 9000 + b"END",
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_files_with_the_same_bytes_are_paired_and_few_are_read_whole(folder, monkeypatch):
    read: list[str] = []

    def hashed(path: Path) -> str:
        read.append(path.name)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(same_images, "hash_file", hashed)
    ones = sizes_of(f"{folder}/a{k}" for k in range(1, 5))
    others = sizes_of([*(f"{folder}/b{k}" for k in range(1, 6)), f"{folder}/a3"])
    assert same_files(ones, others) == [
        (folder / "a1", folder / "b1"), (folder / "a3", folder / "a3"),
    ]  # fmt: skip
    assert sorted(read) == ["a1", "a2", "b1", "b2"]  # the others differ in size or at the end


def test_a_missing_file_is_named(folder):
    with pytest.raises(ScasegError, match=r"the image .*gone cannot be read: No such file"):
        sizes_of([f"{folder}/gone"])


def test_the_split_names_copies_in_two_parts(tmp_path):
    cat, dog, cow, grass, _ = (category["id"] for category in CATEGORIES)
    train = write_panoptic_set(tmp_path, "train", [striped(1, cat, grass), striped(2, dog, grass)])
    validation = write_panoptic_set(tmp_path, "val", [striped(10 + k, cow, grass) for k in range(5)])
    images = {part: sorted((tmp_path / where.images).iterdir()) for part, where in (("t", train), ("v", validation))}
    for number, path in enumerate([*images["t"], *images["v"]]):
        path.write_bytes(path.read_bytes() + bytes([number]))  # the pixels stay
    images["v"][3].write_bytes(images["t"][1].read_bytes())
    changes = [f"data.root={tmp_path}", "data.shapes=null", "data.selection=null", "split.unseen=[cow]"]
    changes += [
        f"data.{part}={json.dumps(where.model_dump())}"
        for part, where in (("train", train), ("validation", validation))
    ]
    report = split_dataset(load_recipe("shapes-zps", tuple(changes)), RunDir(tmp_path / "run"))
    (parts, pairs) = next(iter(report.summary["same_images"].items()))
    assert pairs == [[str(images["t"][1]), str(images["v"][3])]]
    part = parts.removeprefix("train, ")
    (note,) = (note for note in report.tables[0].notes if "trained on too" in note)
    assert note.startswith(f"Images of {part} that are trained on too: 1; seen classes will score too high.")
    assert f"Same bytes: {images['v'][3].name} is {images['t'][1].name}." in note
