import json

import numpy as np
import pytest

from scaseg_cli.data.records import Category
from scaseg_cli.errors import ScasegError
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import class_list, read_classes, write_classes
from scaseg_cli.split.lists import read_image_ids

# In an order of their own: the model's order depends on ids, not on the file.
CATEGORIES = [
    Category(187, "sky", False),
    Category(3, "dog", True),
    Category(1, "cat", True),
    Category(100, "grass", False),
    Category(7, "cow", True),
]


def test_seen_first_then_unseen_each_in_category_order():
    classes = class_list(CATEGORIES, ["sky", "cat"])
    assert classes.names == ["dog", "cow", "grass", "cat", "sky"]
    assert classes.num_seen == 3
    assert len(classes) == 5
    assert classes.class_ids == {3: 0, 7: 1, 100: 2, 1: 3, 187: 4}
    assert classes.isthing.dtype == np.bool_
    assert classes.isthing.tolist() == [True, True, False, True, False]
    assert classes.unseen_category_ids == {1, 187}


def test_written_and_read_back(tmp_path):
    run = RunDir(tmp_path)
    classes = class_list(CATEGORIES, ["sky", "cat"])
    write_classes(run, "zps", classes)
    assert read_classes(run) == classes
    content = json.loads(run.classes_file.read_text())
    assert content["task"] == "zps"
    assert content["classes"][3] == {"name": "cat", "category_id": 1, "isthing": True, "seen": False}


def test_not_split_yet_names_the_command(tmp_path):
    for read in (read_classes, read_image_ids):
        with pytest.raises(ScasegError, match="the data has not been split") as caught:
            read(RunDir(tmp_path))
        assert "scaseg split-dataset" in caught.value.hint


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "{}", '{"classes": [1]}', '{"classes": [{"name": "cat", "category_id": 1.0, "isthing": 1}]}'],
)
def test_a_changed_class_list_is_refused(tmp_path, content):
    run = RunDir(tmp_path)
    run.folder("split")
    run.classes_file.write_text(content)
    with pytest.raises(ScasegError, match=r"classes\.json"):
        read_classes(run)


@pytest.mark.parametrize(
    "content", ["[]", '{"train": [1]}', '{"train": [1], "selection": [2], "validation": [3.5]}', '{"train'], ids=str
)
def test_changed_image_lists_are_refused(tmp_path, content):
    run = RunDir(tmp_path)
    run.folder("split")
    run.images_file.write_text(content)
    with pytest.raises(ScasegError, match=r"images\.json"):
        read_image_ids(run)
