"""`scaseg visualize` on finished runs of both tasks: which images, which predictions, whose scores, which files."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Outcome, contents, scaseg
from damaged_world import World
from PIL import Image
from tiny_runs import TinyRun

from scaseg_cli.cli.app import main
from scaseg_cli.run_dir import RunDir
from scaseg_cli.shapes.world import CLASSES, UNSEEN
from scaseg_cli.split.classes import read_classes

Call = Callable[..., Outcome]
VALIDATION = [*range(2_000_001, 2_000_017)]


@pytest.fixture
def visualize(
    tiny_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Call:
    """Call `scaseg visualize` in an empty folder with a finished panoptic run; it writes a.png."""
    monkeypatch.chdir(tmp_path)
    run = (*options_of(tiny_run), "--cell", "64", "-o", "a.png")
    return lambda *arguments: scaseg(capfd, "visualize", *run, *arguments)


def options_of(tiny_run: TinyRun) -> tuple[str, ...]:
    return "-r", str(tiny_run.folder / "tiny.yaml"), "-w", str(tiny_run.run)


def images_of(outcome: Outcome) -> list[dict[str, Any]]:
    assert outcome.code == 0, outcome.err
    found: list[dict[str, Any]] = json.loads(outcome.out)["summary"]["images"]
    return found


def ids_of(outcome: Outcome) -> list[int]:
    return [image["image_id"] for image in images_of(outcome)]


def unseen_images(run: Path) -> list[int]:
    labels = json.loads((run / "data" / "annotations" / "panoptic_validation.json").read_text())
    unseen = {item.category_id for item in CLASSES if item.name in UNSEEN}
    return sorted(
        item["image_id"]
        for item in labels["annotations"]
        if unseen & {segment["category_id"] for segment in item["segments_info"]}
    )


def holding_first_unseen(run: Path) -> list[int]:
    """The images that hold the unseen class with the lowest class id."""
    labels = json.loads((run / "data" / "annotations" / "panoptic_validation.json").read_text())
    wanted = next(item.category_id for item in read_classes(RunDir(run)).classes if not item.seen)
    return [
        item["image_id"]
        for item in labels["annotations"]
        if wanted in {segment["category_id"] for segment in item["segments_info"]}
    ]


def test_without_an_option_both_files_lie_in_the_run_folder(world: World) -> None:
    outcome = world.scaseg("visualize", "--number", "3")
    assert outcome.code == 0, outcome.err
    folder = Path("run/visualization")
    assert "wrote run/visualization/examples.png\nwrote run/visualization/examples.pdf\n" in outcome.err
    assert sorted(path.name for path in folder.iterdir()) == ["examples.pdf", "examples.png"]
    with Image.open(folder / "examples.png") as sheet:
        assert sheet.width == 4 * 512 + 2 * (3 * 10 + 2 * 18)
    assert "tiny: " in outcome.out
    assert world.scaseg("status").out.count("done") == 7  # a picture makes no stage stale


def test_images_with_unseen_classes_come_first_and_the_classes_take_turns(visualize: Call, tiny_run: TinyRun) -> None:
    before = contents(tiny_run.run)
    holding = unseen_images(tiny_run.run)
    assert 0 < len(holding) < 16
    others = [image_id for image_id in VALIDATION if image_id not in holding]
    found = ids_of(visualize("--number", "16", "--json"))
    assert (sorted(found[: len(holding)]), found[len(holding) :]) == (holding, others)
    assert ids_of(visualize("--number", "16", "--only", "unseen", "--json")) == found[: len(holding)]
    assert found[0] == min(holding_first_unseen(tiny_run.run))
    assert contents(tiny_run.run) == before


def test_named_images_come_in_the_order_in_which_they_are_named(visualize: Call) -> None:
    assert ids_of(visualize("--ids", "2000007,2000001, 2000003", "--json")) == [2_000_007, 2_000_001, 2_000_003]


def test_rankings_go_by_the_scores_that_are_shown(visualize: Call) -> None:
    everything = {image["image_id"]: image["scores"]["ours"] for image in images_of(visualize("-n", "16", "--json"))}
    ranked = [image_id for image_id in everything if everything[image_id] is not None]
    worst = sorted(ranked, key=lambda image_id: (everything[image_id], image_id))
    best = sorted(ranked, key=lambda image_id: (-everything[image_id], image_id))
    assert len(set(everything.values())) > 2
    for option, order in (("--worst", worst), ("--best", best)):
        found = images_of(visualize(option, "-n", "4", "--json"))
        assert [image["image_id"] for image in found] == order[:4]
        assert [image["scores"]["ours"] for image in found] == [everything[image_id] for image_id in order[:4]]


def test_a_score_is_that_of_evaluate_on_the_one_image(
    visualize: Call, tiny_run: TinyRun, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of validation sets of one image each, the mean over all classes is what the grid says."""
    scores = {image["image_id"]: image["scores"] for image in images_of(visualize("--best", "-n", "2", "--json"))}
    shutil.copytree(tiny_run.run, tmp_path / "run")
    lists = json.loads((tmp_path / "run" / "split" / "images.json").read_text())
    for image_id, found in scores.items():
        lists["validation"] = [image_id]
        (tmp_path / "run" / "split" / "images.json").write_text(json.dumps(lists))
        World(tmp_path, capfd).adopt("split")
        outcome = scaseg(capfd, "evaluate", *options_of(tiny_run)[:2], "-w", "run", "--json")
        assert outcome.code == 0, outcome.err
        summary = json.loads(outcome.out)["summary"]
        for key, row in (("ours", "transductive"), ("baseline", "inductive")):
            assert found[key] == pytest.approx(summary[row]["all"]["pq"], abs=1e-9)


def test_only_unseen_shows_no_segment_of_a_seen_class(visualize: Call) -> None:
    outcome = visualize("--only", "unseen", "--json")
    shown = {s["category"] for image in images_of(outcome) for cell in image["segments"].values() for s in cell}
    assert shown
    assert shown <= set(UNSEEN)
    assert {item["name"] for item in json.loads(outcome.out)["summary"]["classes"]} == shown


def test_the_legend_has_what_the_cells_show_in_the_datas_colours(visualize: Call) -> None:
    outcome = visualize("--json")
    shown = {s["category"] for image in images_of(outcome) for cell in image["segments"].values() for s in cell}
    legend = json.loads(outcome.out)["summary"]["classes"]
    assert {item["name"] for item in legend} == shown
    assert [item["seen"] for item in legend] == sorted(item["seen"] for item in legend)
    colours = {item.name: list(item.label_colour) for item in CLASSES}
    assert all(item["color"] == colours[item["name"]] for item in legend)


def test_the_document_has_the_keys_that_the_manual_names(visualize: Call) -> None:
    page = (Path(__file__).parents[2] / "docs" / "visualize.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+)`", page[page.index("## For programs") :]))
    document = json.loads(visualize("--json").out)
    image, category = document["summary"]["images"][0], document["summary"]["classes"][0]
    segment = next(s for item in document["summary"]["images"] for s in item["segments"]["ours"])
    assert named - {"wrote", "summary"} == {"images", "classes", *image, *segment, *category}
    assert document["wrote"] == ["a.png"]


def test_a_peers_predictions_are_shown_as_they_are(
    visualize: Call, tiny_run: TinyRun, capfd: pytest.CaptureFixture[str]
) -> None:
    """Our own inductive predictions, handed over in files, are what the base model shows without them."""
    images, run = str(tiny_run.run / "data" / "validation"), options_of(tiny_run)
    assert scaseg(capfd, "predict", images, *run, "--setting", "inductive", "-o", "theirs").code == 0
    ids = ("--ids", "2000002,2000005", "--json")
    own, outcome = visualize(*ids), visualize(*ids, "--baseline", "theirs")
    peers = images_of(outcome)
    for mine, peer in zip(images_of(own), peers, strict=True):
        assert peer["scores"] == pytest.approx(mine["scores"])
        assert peer["segments"]["baseline"] == mine["segments"]["baseline"]
    assert any(peer["segments"]["baseline"] for peer in peers)
    assert json.loads(outcome.out)["summary"]["columns"]["baseline"]["title"] == "theirs"
    named = json.loads(visualize(*ids, "--baseline", "theirs", "--name", "Their method").out)
    assert named["summary"]["columns"]["baseline"]["title"] == "Their method"
    assert named["tables"][0]["columns"][2]["title"] == "Their method, PQ"


def test_the_inductive_model_is_shown_beside_the_base_without_an_increment(visualize: Call) -> None:
    outcome = visualize("--setting", "inductive", "--json")
    remarks = {key: column["remark"] for key, column in json.loads(outcome.out)["summary"]["columns"].items()}
    assert remarks == {"baseline": "base model", "ours": "base model, unseen logits +1"}


def test_where_the_baseline_would_be_ours_there_is_none(world: World) -> None:
    outcome = world.scaseg(
        "visualize", "--setting", "inductive", "--set", "evaluation.inductive_increment=0", "-o", "a.pdf", "--json"
    )
    assert list(json.loads(outcome.out)["summary"]["columns"]) == ["ours"]
    assert "no baseline" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--ids", "7"), "--ids 7 is not a validation image\nValidation images are 2000001, 2000002"),
        (("--ids", "1000001"), "image 1000001 is a selection image"),
        (("--baseline", "nowhere"), "the folder of predictions nowhere does not exist"),
        (("--baseline", "mine"), "the predictions in mine have no JSON file"),
        (("--set", "base.tau=0.2"), "was made by another recipe"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    visualize: Call, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    (tmp_path / "mine").mkdir()
    outcome = visualize(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert says in outcome.err
    assert "Traceback" not in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_same_call_writes_the_same_bytes(visualize: Call, tmp_path: Path) -> None:
    for name in ("b.pdf", "c.pdf"):
        assert visualize("--number", "9", "-o", name).code == 0
    assert (tmp_path / "b.pdf").read_bytes() == (tmp_path / "c.pdf").read_bytes()


SEMANTIC = """
extends: shapes-zss
name: maps
threads: 1
data: {shapes: null, root: data}
base: {iterations: 2, batch_size: 2, checkpoint_every: 1000}
"""


@pytest.mark.usefixtures("world")
def test_semantic_predictions_and_a_peers_label_maps(capfd: pytest.CaptureFixture[str]) -> None:
    Path("maps.yaml").write_text(SEMANTIC)
    run = ("-r", "maps.yaml", "-w", "maps")
    for command in ("split-dataset", "embed-classes", "train-base"):
        assert main([command, *run]) == 0
    assert scaseg(capfd, "predict", "data/validation", *run, "-o", "theirs").code == 0
    wanted = ("visualize", *run, "-o", "a.png", "--json")
    for image in images_of(scaseg(capfd, *wanted, "--baseline", "theirs")):
        assert image["scores"]["ours"] == pytest.approx(image["scores"]["baseline"])
        assert image["segments"]["ours"] == image["segments"]["baseline"]
        assert sum(segment["area"] for segment in image["segments"]["ours"]) == 64 * 64  # every pixel has a class
    ranked = images_of(scaseg(capfd, *wanted, "--best", "-n", "8"))
    scores = [image["scores"]["ours"] for image in ranked]
    assert scores == sorted(scores, reverse=True)
    path = Path("theirs/000002000001.png")
    Image.fromarray(np.full((64, 64), 77, np.uint8)).save(path)
    outcome = scaseg(capfd, *wanted, "--baseline", "theirs", "--ids", "2000001")
    assert outcome.code == 2
    assert f"{path} contains 77, which are not category ids of the data" in outcome.err
