"""`scaseg report` of a run of semantic segmentation: IoU, and votes of the regions of classes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import scaseg
from PIL import Image
from report_page import check_page

from scaseg_cli.recipe import recipe_of
from scaseg_cli.results.table import read_table
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import read_classes


@pytest.fixture
def here(semantic_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a copy of the run in run/; it is the current one."""
    shutil.copytree(semantic_run / "run", tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_shows_iou_and_the_regions_votes(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    outcome = scaseg(capfd, "report", "run", "-o", "page.html", "--json")
    assert outcome.code == 0
    (run,) = json.loads(outcome.out)["runs"]
    assert (run["task"], run["left_out"]) == ("zss", {})
    page = check_page((here / "page.html").read_text(encoding="utf-8"))
    table = read_table(here / "run" / "evaluation" / "results.json")
    expected = [[value for value in row.values() if isinstance(value, float)] for row in table.rows]
    assert page.table(table.title).values == expected
    assert "hIoU" in page.text
    assert "the region of a class in an image" in page.text
    assert run["confusion"]["inductive"]["votes"] == votes_of_files(here, capfd)


def votes_of_files(here: Path, capfd: pytest.CaptureFixture[str]) -> list[list[int]]:
    """The same from the label maps that `scaseg predict` writes."""
    classes, recipe = read_classes(RunDir(here / "run")), recipe_of(here / "run")
    run_of = ("-r", "run/recipe.yaml", "-w", "run")
    assert scaseg(capfd, "predict", "run/data/validation", *run_of).code == 0
    assert recipe.data.validation is not None
    index = json.loads((here / "run" / "split" / "label-maps-validation.json").read_text())
    of_value = {item["value"]: classes.class_ids[item["id"]] for item in index["classes"]}
    votes = np.zeros((len(classes), len(classes) + 1), int)
    for path in sorted((here / "run" / "data" / recipe.data.validation.labels).glob("*.png")):
        with Image.open(path) as image, Image.open(here / "predictions" / path.name) as found:
            label_HW, found_HW = np.array(image), np.array(found)
        for value, class_id in of_value.items():
            values, counts = np.unique(found_HW[label_HW == value], return_counts=True)
            if len(values):
                most = min(classes.class_ids[one] for one in values[counts == counts.max()].tolist())
                votes[class_id, most] += 1
    return votes.tolist()
