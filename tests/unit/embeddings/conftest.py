"""A run folder whose split is done, with the classes of the embedded world."""

import pytest

from scaseg_cli.clip import load_clip
from scaseg_cli.data.records import Category
from scaseg_cli.recipe import load_recipe
from scaseg_cli.recipe.schema import Clip
from scaseg_cli.run_dir import RunDir
from scaseg_cli.shapes.world import CLASSES, UNSEEN
from scaseg_cli.split.classes import class_list, write_classes
from scaseg_cli.stages import recording


@pytest.fixture
def recipe():
    return load_recipe("shapes-zps")


@pytest.fixture
def classes():
    return class_list([Category(item.category_id, item.name, item.isthing) for item in CLASSES], UNSEEN)


@pytest.fixture
def run(recipe, classes, tmp_path):
    run = RunDir(tmp_path / "run")
    with recording(recipe, run, "split", run.classes_file):
        write_classes(run, recipe.task, classes)
    return run


@pytest.fixture(scope="session")
def clip():
    return load_clip(Clip(model="shapes-clip", checkpoint="shapes-clip"))
