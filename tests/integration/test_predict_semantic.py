"""`scaseg predict` with a run of semantic segmentation: label maps, whose figures are the run's own."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import scaseg
from PIL import Image
from tiny_runs import SMALL_SEMANTIC

from scaseg_cli.data.images import read_label
from scaseg_cli.measures.mean_iou import Confusion, semantic_label
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import read_classes
from scaseg_cli.split.lists import open_set

RUN = ("-r", "shapes-zss", "-w", "run", *(word for change in SMALL_SEMANTIC for word in ("--set", change)))


@pytest.fixture(autouse=True)
def _here(semantic_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(semantic_run)


def test_label_maps_score_as_the_run_itself(capfd: pytest.CaptureFixture[str]) -> None:
    assert scaseg(capfd, "predict", "run/data/validation", *RUN).code == 0
    recipe, run = load_recipe("shapes-zss", SMALL_SEMANTIC), RunDir(Path("run"))
    classes, images = read_classes(run), open_set(recipe, run, "validation")
    confusion = Confusion(len(classes))
    for record in images.images:
        with Image.open(Path("predictions") / f"{Path(record.file_name).stem}.png") as image:
            assert image.mode == "L"
            found = np.array(image)
        segments = record.segments
        ids = [classes.class_ids[segment.category_id] for segment in segments]
        label = semantic_label(read_label(images, record), [segment.id for segment in segments], ids)
        of_category = np.full(256, -1)
        of_category[list(classes.class_ids)] = list(classes.class_ids.values())
        confusion.add(label, of_category[found].reshape(-1)[label.pixels_L])
    ours = confusion.per_class()
    theirs = json.loads(run.per_class_file.read_text())["rows"]
    assert [row["right"] for row in theirs] == ours.right.tolist()
    assert [row["predicted"] for row in theirs] == ours.predicted.tolist()
    assert ours.right.sum() > 0


def test_evaluate_gives_predictions_in_files_the_figures_of_the_run_to_the_last_bit(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert scaseg(capfd, "predict", "run/data/validation", *RUN).code == 0
    outcome = scaseg(capfd, "evaluate", "--predictions", "predictions", *RUN, "--per-class", "--json")
    table, per_class = json.loads(outcome.out)["tables"]
    run = RunDir(Path("run"))
    assert per_class["rows"] == json.loads(run.per_class_file.read_text())["rows"]
    row = next(row for row in json.loads(run.results_file.read_text())["rows"] if row["increment"] > 0)
    assert row["setting"] == "inductive"
    figures = {key: value for key, value in row.items() if key not in ("setting", "model", "increment", "chosen_on")}
    assert {key: table["rows"][0][key] for key in figures} == figures
    labels = "run/data/annotations/semantic_validation"
    files = ("--labels", labels, "--categories", "run/data/annotations/categories.json", "--unseen", "shapes-zss")
    alone = scaseg(capfd, "evaluate", "--predictions", "predictions", *files, "--json")
    assert json.loads(alone.out)["tables"][0]["rows"] == table["rows"]


def test_every_class_is_one_segment_whatever_was_said_of_things(capfd: pytest.CaptureFixture[str]) -> None:
    names = "red ring, zebra; blue dots"
    assert scaseg(capfd, "predict", "run/data/validation", *RUN, "--classes", names, "-o", "mine").code == 0
    found = json.loads(Path("mine/predictions.json").read_text())
    assert [(item["name"], item["isthing"]) for item in found["categories"]][-1] == ("zebra", 0)
    assert not any(item["isthing"] for item in found["categories"])
    for annotation in found["annotations"]:
        with Image.open(Path("mine") / annotation["file_name"]) as image:
            values, areas = np.unique(np.array(image), return_counts=True)
        infos = {item["id"]: item["area"] for item in annotation["segments_info"]}
        assert infos == dict(zip(values.tolist(), areas.tolist(), strict=True))
        assert sum(infos.values()) == 64 * 64


def test_the_fine_tuned_projector_is_asked_for_in_words_where_it_is_not_there(
    capfd: pytest.CaptureFixture[str],
) -> None:
    outcome = scaseg(capfd, "predict", "run/data/validation", *RUN, "--setting", "transductive", "-o", "none")
    assert outcome.code == 2
    assert "has no finished union stage" in outcome.err
    assert not Path("none").exists()


def test_a_threshold_means_nothing_here(capfd: pytest.CaptureFixture[str]) -> None:
    outcome = scaseg(capfd, "predict", "run/data/validation", *RUN, "--object-threshold", "0.5", "-o", "none")
    assert outcome.code == 2
    assert "--object-threshold 0.5 has no meaning for task zss" in outcome.err
    assert not Path("none").exists()
