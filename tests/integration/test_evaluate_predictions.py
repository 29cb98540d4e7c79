"""`scaseg evaluate --predictions`: what anyone predicted, in COCO's panoptic format."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import Outcome, contents, scaseg
from outside_data import needs_outside, outside
from prediction_files import Pair, change_json, segment, strip, strips, write_map, write_pairs

CAT, DOG, COW, GRASS = 1, 3, 7, 100


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two images: a cat found with IoU 0.8 and one missed, a cow found, grass called dog."""
    monkeypatch.chdir(tmp_path)
    write_pairs(
        tmp_path,
        [
            strips("1111122222", {1: CAT, 2: CAT}, "1111......", {1: CAT}),
            Pair(strip("11223"), [segment(1, COW, 0), segment(2, GRASS, 0), segment(3, DOG, 1)],
                 strip("55663"), [segment(5, COW), segment(6, DOG), segment(3, DOG)]),
        ],
    )  # fmt: skip
    return tmp_path


@pytest.fixture
def score(files: Path, capfd: pytest.CaptureFixture[str]):
    def call(*arguments: str) -> Outcome:
        before = contents(files)
        outcome = scaseg(capfd, "evaluate", "--predictions", "predictions", "--annotations", "labels.json", *arguments)
        assert contents(files) == before
        return outcome

    return call


def only_row(outcome: Outcome) -> dict[str, float]:
    assert outcome.code == 0
    (row,) = json.loads(outcome.out)["tables"][0]["rows"]
    return row


def test_all_classes_together_things_and_stuff(score) -> None:
    row = only_row(score("--json"))
    # cat: 0.8 / 1.5; cow: 1; grass: missed, 0; dog: a mistake, 0 (the one on the crowd region is neither)
    assert row["pq"] == pytest.approx((0.8 / 1.5 + 1) / 4, abs=1e-9)
    assert row["th_pq"] == pytest.approx((0.8 / 1.5 + 1) / 3, abs=1e-9)
    assert (row["st_pq"], row["st_rq"]) == (0, 0)
    assert row["sq"] == pytest.approx(1.8 / 4, abs=1e-9)
    assert row["rq"] == pytest.approx((1 / 1.5 + 1) / 4, abs=1e-9)
    assert "spq" not in row


def test_seen_unseen_and_their_harmonic_mean(score, files: Path) -> None:
    (files / "unseen.txt").write_text("cow\ngrass\n")
    row = only_row(score("--unseen", "unseen.txt", "--json"))
    assert (row["spq"], row["upq"]) == (pytest.approx(0.4 / 1.5, abs=1e-9), pytest.approx(0.5, abs=1e-9))
    assert row["hpq"] == pytest.approx(2 * row["spq"] * row["upq"] / (row["spq"] + row["upq"]), abs=1e-12)


def test_a_recipe_that_is_named_says_what_is_unseen(score, files: Path) -> None:
    (files / "mine.yaml").write_text("extends: shapes-zps\nname: mine\nsplit: {unseen: [cow]}\n")
    assert only_row(score("--recipe", "mine.yaml", "--json"))["upq"] == 1.0


def test_the_table_by_class(score) -> None:
    tables = json.loads(score("--per-class", "--json").out)["tables"]
    rows = {row["class"]: (row["tp"], row["fp"], row["fn"]) for row in tables[1]["rows"]}
    assert rows == {"cat": (1, 0, 1), "dog": (0, 1, 0), "cow": (1, 0, 0), "grass": (0, 0, 1)}


def test_a_person_reads_a_table_and_which_json_it_was(score) -> None:
    outcome = score()
    assert outcome.code == 0
    assert "38.3" in outcome.out
    assert "2 images. Predictions: " in outcome.out
    assert "predictions.json" in outcome.out


def test_labels_may_lie_elsewhere(score, files: Path) -> None:
    (files / "labels").rename(files / "truth")
    assert score().code == 2
    assert only_row(score("--labels", "truth", "--json"))["pq"] > 0


def test_broken_predictions_are_named_by_image_all_at_once(score, files: Path) -> None:
    change_json(files / "predictions.json", lambda c: c["annotations"][1]["segments_info"][0].update(category_id=5))
    write_map(files / "predictions" / "1.png", np.ones((3, 3), int))
    outcome = score("--json")
    assert outcome.code == 2
    assert outcome.out == ""
    for part in ("image 1 (1.jpg): ", "is 3 x 3 pixels, not 10 x 1", "image 2 (2.jpg): ", "has category_id 5"):
        assert part in outcome.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--unseen", "coco-zps"), "names 13 of 14 classes that the data lacks"),
        (("--unseen", "coco-zzz"), "neither a known split"),
        (("--work-dir", "runs"), "are two things to score"),
        (("--launcher", "local"), "cannot be scored as a job"),
        (("--nodes", "2"), "are scored on one machine"),
        (("--annotations", "none.json"), "none.json does not exist"),
    ],
)
def test_what_does_not_fit_is_refused(score, arguments: tuple[str, ...], says: str) -> None:
    outcome = score(*arguments)
    assert outcome.code == 2
    assert says in outcome.err


COCO = outside("coco_sample")


@needs_outside("coco_sample")
def test_real_labels_predict_themselves(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    theirs = tmp_path / "theirs"
    shutil.copytree(COCO / "panoptic_examples", theirs)
    content = json.loads((COCO / "panoptic_examples.json").read_text())
    for annotation in content["annotations"]:
        for item in annotation["segments_info"]:
            item.pop("iscrowd")
    (tmp_path / "theirs.json").write_text(json.dumps({"annotations": content["annotations"]}))
    labels = str(COCO / "panoptic_examples.json")
    outcome = scaseg(capfd, "evaluate", "--predictions", str(theirs), "--annotations", labels, "--unseen", "coco-zps",
                     "--json")  # fmt: skip
    row = only_row(outcome)
    assert {row[key] for key in row if not key.startswith("_")} == {1.0}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--predictions", "predictions"), "needs --annotations"),
        (("--annotations", "labels.json"), "--annotations labels.json needs --predictions"),
        (("--unseen", "coco-zps"), "--unseen coco-zps needs --predictions"),
    ],
)
@pytest.mark.usefixtures("files")
def test_half_a_question_is_refused(capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str) -> None:
    outcome = scaseg(capfd, "evaluate", *arguments)
    assert outcome.code == 2
    assert says in outcome.err
