"""`scaseg split-dataset --check-png`; tests/unit/split tests the split itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from panoptic_files import striped, write_panoptic_set

Call = Callable[..., Any]


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    sets = {
        "train": [striped(number, 1, 3) for number in range(1, 6)],
        "validation": [striped(number, 1, 7) for number in range(11, 15)],
    }
    changes = [f"data.root={tmp_path}", "data.shapes=null", "data.selection=null", "split.unseen=[cow]"]
    for part, images in sets.items():
        where = write_panoptic_set(tmp_path, part, images)
        changes.append(f"data.{part}={json.dumps(where.model_dump())}")
    return [word for change in changes for word in ("--set", change)]


def test_broken_labels_end_the_command_and_are_all_named(scaseg: Call, tmp_path: Path, options: list[str]) -> None:
    for image_id in (2, 4):
        label = tmp_path / "annotations" / "train" / f"{image_id:012d}.png"
        label.write_bytes(label.read_bytes()[:-30])
    code, out, err = scaseg("split-dataset", *options)
    assert (code, out) == (2, "")
    assert "000000000002.png cannot be read" in err
    assert "000000000004.png cannot be read" in err
    assert scaseg("split-dataset", *options, "--check-png", "0").code == 0
    assert scaseg("split-dataset", *options, "--check-png", "9").code == 2
    assert scaseg("split-dataset", *options, "--check-png", "all").code == 2


def test_a_number_of_labels_below_none_is_refused(scaseg: Call, tmp_path: Path) -> None:
    code, _, err = scaseg("split-dataset", "--check-png", "-1")
    assert code == 2
    assert "--check-png" in err
    assert list(tmp_path.iterdir()) == []
