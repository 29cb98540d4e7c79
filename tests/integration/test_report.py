"""`scaseg report` of a finished run: its numbers, what it needs to be opened, and what it does without."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CHROMIUM, open_page, take_screenshot
from command_line import Outcome, contents
from command_line import scaseg as call
from damaged_world import World, check_refusal
from PIL import Image
from report_page import check_page
from tiny_runs import TinyRun

from scaseg_cli.cli.app import main
from scaseg_cli.comparison.seed_runs import key_without_seed
from scaseg_cli.data.images import rgb_to_ids
from scaseg_cli.recipe import recipe_of
from scaseg_cli.results.table import read_table

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on the PATH")


@pytest.fixture(scope="module")
def reported(tiny_run: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny run as run/, with an ablation's files, its report, and report.json, what the command printed;
    tests must not change it."""
    folder = tmp_path_factory.mktemp("reported") / "world"
    shutil.copytree(tiny_run.run, folder / "run")
    shutil.copy(tiny_run.folder / "tiny.yaml", folder)
    add_ablation(folder / "run" / "ablations" / "increment", key_without_seed(recipe_of(folder / "run")))
    with pytest.MonkeyPatch.context() as patch, open(folder / "report.json", "w") as file:
        patch.chdir(folder)
        patch.setattr("builtins.print", lambda text: file.write(text))
        assert main(["report", "-r", "tiny.yaml", "-w", "run", "--json"]) == 0
    return folder


@pytest.fixture
def copied(reported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to be changed; it is the current folder."""
    folder = tmp_path / "copied"
    shutil.copytree(reported, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def evaluated(reported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy whose run/ was evaluated again, with another increment; other/ is what it was before."""
    folder = tmp_path_factory.mktemp("evaluated") / "world"
    shutil.copytree(reported, folder)
    shutil.copytree(folder / "run", folder / "other")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        changed = ("--set", "evaluation.inductive_increment=50")
        assert main(["evaluate", "-r", "tiny.yaml", "-w", "run", *changed]) == 0
    return folder


def add_ablation(folder: Path, key: str) -> None:
    """A table and a picture as `scaseg ablate` writes them."""
    columns = [{"key": "row", "title": "row", "kind": "text"}, {"key": "hpq", "title": "hPQ", "kind": "percent"}]
    table = {"title": "increment: <b>", "columns": columns, "rows": [{"row": "1", "hpq": 0.4321}], "notes": ["One."]}
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps({**table, "key": key}))
    (folder / "plot.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><defs><path id="p" d="M0 0h1"/></defs>'
        '<use xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="#p"/></svg>'
    )


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


def html(folder: Path) -> str:
    return (folder / "run" / "report.html").read_text(encoding="utf-8")


def test_the_page_holds_all_that_it_shows(reported: Path) -> None:
    page = check_page(html(reported))
    assert (reported / "run" / "report.html").stat().st_size < 5_000_000
    for section in ("Results", "By class", "Confusion", "Curves", "Query embeddings", "Images", "Ablations"):
        assert section in page.text
    assert "Left out" not in page.text
    assert "base.safetensors" not in page.text
    assert "name: tiny" in page.text  # the recipe


@pytest.mark.parametrize("name", ["results", "per-class"])
def test_the_numbers_of_the_tables_are_those_of_the_json(reported: Path, name: str) -> None:
    table = read_table(reported / "run" / "evaluation" / f"{name}.json")
    shown = check_page(html(reported)).table(table.title)
    numeric = [column.key for column in table.columns if column.is_numeric]
    expected = [sorted(row[key] for key in numeric if row[key] is not None) for row in table.rows]
    assert sorted(map(sorted, shown.values)) == sorted(expected)
    texts = [Counter(cells) for cells in table.shown_rows()]
    assert len(shown.rows) == len(texts)
    assert all(Counter(row) in texts for row in shown.rows)


def test_every_number_is_shown_as_it_is_rounded(reported: Path) -> None:
    numbers = check_page(html(reported)).numbers
    assert len(numbers) > 200
    for value, text in numbers:
        read = float(text)
        assert min(abs(read - value), abs(read - 100 * value)) <= 0.5001 or read == pytest.approx(value, rel=0.005)


def test_the_json_is_what_the_page_shows(reported: Path) -> None:
    (run,) = document(reported)["runs"]
    assert run["results"] == json.loads((reported / "run" / "evaluation" / "results.json").read_text())
    assert run["per_class"] == json.loads((reported / "run" / "evaluation" / "per-class.json").read_text())
    assert run["left_out"] == {}
    page = check_page(html(reported))
    for setting in ("inductive", "transductive"):
        for table in (run["confusion"][setting]["groups"], run["confusion"][setting]["taken_for"]):
            shown = page.table(table["title"])
            keys = [column["key"] for column in table["columns"] if column["kind"] in ("percent", "count")]
            assert shown.values == [[row[key] for key in keys if row[key] is not None] for row in table["rows"]]
    assert page.table("increment: <b>").values == [[0.4321]]
    assert document(reported)["path"] == "run/report.html"


@pytest.mark.parametrize("setting", ["inductive", "transductive"])
def test_votes_are_those_of_the_predictions_in_files(
    copied: Path, setting: str, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ("-r", "tiny.yaml", "-w", "run", "--setting", setting, "-o", setting)
    assert call(capfd, "predict", "run/data/validation", *arguments).code == 0
    found = json.loads(Path(setting, "predictions.json").read_text())
    (run,) = document(copied)["runs"]
    names = run["confusion"][setting]["classes"]
    place_of = {item["id"]: names.index(item["name"]) for item in found["categories"]}
    classes = {
        int(Path(item["file_name"]).stem): (Path(setting, item["file_name"]), item["segments_info"])
        for item in found["annotations"]
    }
    votes = np.zeros((len(names), len(names) + 1), int)
    for label in json.loads(Path("run/data/annotations/panoptic_validation.json").read_text())["annotations"]:
        path, segments = classes[label["image_id"]]
        predicted = np.full(65536, len(names))
        for segment in segments:
            predicted[segment["id"]] = place_of[segment["category_id"]]
        predicted_HW = predicted[ids_of(path)]
        label_HW = ids_of(Path("run/data/annotations/panoptic_validation", label["file_name"]))
        for segment in label["segments_info"]:
            counts = np.bincount(predicted_HW[label_HW == segment["id"]], minlength=len(names) + 1)
            votes[place_of[segment["category_id"]], counts.argmax()] += 1
    assert votes.tolist() == run["confusion"][setting]["votes"]
    assert votes[:, :-1].sum() >= 4
    assert (votes.sum(0) > 0).sum() > 2


def ids_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return rgb_to_ids(np.array(image.convert("RGB")))


@needs_chromium
@pytest.mark.parametrize("width", [360, 1280])
def test_chromium_opens_it_without_a_word(reported: Path, tmp_path: Path, width: int) -> None:
    opened = open_page(reported / "run" / "report.html", tmp_path, width)
    assert opened.console == []
    assert (opened.broken, opened.fetched) == (0, 0)
    assert opened.width == opened.page_width == width


@needs_chromium
def test_chromium_would_have_said_what_is_wrong(reported: Path, tmp_path: Path) -> None:
    wrong = '<img src="gone.png" alt=""><div style="width:800px">wide</div><script>no.such.name</script></main>'
    page = tmp_path / "wrong.html"
    page.write_text(html(reported).replace("</main>", wrong), encoding="utf-8")
    opened = open_page(page, tmp_path, 360)
    assert len(opened.console) >= 1
    assert opened.broken == 1
    assert opened.page_width > 700


@needs_chromium
def test_a_picture_of_it_can_be_taken(reported: Path, tmp_path: Path) -> None:
    with Image.open(take_screenshot(reported / "run" / "report.html", tmp_path, 800, 600)) as image:
        assert image.size == (800, 600)
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 20


def test_a_second_report_needs_no_weights_and_is_the_same(copied: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = (copied / "run" / "report.html").read_bytes()
    for path in ("base/base.safetensors", "union/best.safetensors"):
        (copied / "run" / path).unlink()
    (copied / "run" / "report.html").write_text("older")
    outcome = call(capfd, "report", "run")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.startswith("wrote run/report.html (")
    assert outcome.err.endswith(" MB), in place of an older file\n")
    assert (copied / "run" / "report.html").read_bytes() == before


def test_of_a_run_without_weights_the_rest_is_shown_and_the_page_says_so(world: World) -> None:
    (world.folder / "run" / "base" / "base.safetensors").unlink()
    outcome = world.scaseg("report", "--json")
    assert outcome.code == 0
    (run,) = json.loads(outcome.out)["runs"]
    reason = "run/base/base.safetensors is gone"
    assert run["left_out"] == {"Confusion and embeddings": reason}
    page = check_page(html(world.folder))
    assert f"Confusion and embeddings: {reason}" in page.text
    assert "wrote run/report.html" in outcome.err
    assert f"run: without Confusion and embeddings: {reason}" in outcome.err


def test_after_another_evaluation_the_network_looks_again(
    evaluated: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(evaluated)
    (run,) = json.loads(call(capfd, "report", "run", "--images", "5", "--json").out)["runs"]
    assert run["images_looked_at"] == 5
    before = document(evaluated)["runs"][0]["confusion"]["inductive"]["groups"]["rows"]
    after = run["confusion"]["inductive"]["groups"]["rows"]
    assert sum(row["segments"] for row in after) < sum(row["segments"] for row in before)
    assert all(row["unseen"] > 0 for row in after)
    assert [row["seen"] for row in after] == [after[0]["right"], 0.0] == [0.0, 0.0]  # nothing is taken for seen


def test_of_stage_1_alone_there_is_the_inductive_part(world: World) -> None:
    for stage in ("cat", "union", "evaluation"):
        shutil.rmtree(world.folder / "run" / stage)
    assert world.scaseg("evaluate", "--set", "evaluation.setting=inductive").code == 0
    outcome = call(world.capfd, "report", "run", "--json")
    (run,) = json.loads(outcome.out)["runs"]
    assert run["left_out"] == {}
    assert list(run["confusion"]) == ["inductive"]
    assert list(run["losses"]) == ["base"]
    assert run["snapshots"] is None
    stages = [row["stage"] for row in run["made_by"]["stages"]["rows"]]
    assert stages == ["split", "embeddings", "base", "evaluation"]
    assert "made_distance" not in {column["key"] for column in run["distances"]["columns"]}
    check_page(html(world.folder))


def test_runs_are_put_side_by_side(
    evaluated: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(evaluated)
    outcome = call(capfd, "report", "other", "run", "--images", "0", "--json")
    assert outcome.code == 0
    found = json.loads(outcome.out)
    assert found["path"] == "report.html"
    (comparison,) = found["comparisons"]
    first, second = (row for row in comparison["main"]["rows"] if row["setting"] == "inductive")
    assert (first["run"], second["run"], second["increment"]) == ("other", "run", 50.0)
    assert first["change"] is None
    assert second["change"] == second["hpq"] - first["hpq"]
    page = check_page((evaluated / "report.html").read_text(encoding="utf-8"))
    assert page.table("Main rows: PQ").values[1][-1] == second["change"]
    assert len(page.table("PQ by class").rows) == 40


@pytest.mark.parametrize(
    ("arguments", "saying"),
    [
        (("nowhere",), ("nowhere is not a run folder: it does not exist", "scaseg run")),
        (("data",), ("data is not a run folder: it has no recipe.yaml",)),
        (("run", "run/"), ("is given twice",)),
        (("run", "-r", "tiny.yaml"), ("both say which run it is", "Leave out --recipe")),
        (("run", "--set", "evaluation.object_threshold=0.1"), ("was not evaluated with", "--gpus 0")),
        (("run", "-o", "data"), ("data is a folder", "-o report.html")),
        (("run", "-o", "tiny.yaml/report.html"), ("cannot write tiny.yaml/report.html",)),
        (("-r", "tiny.yaml", "-w", "run", "--set", "base.tau=0.2"), ("made by another recipe", "`scaseg report run`")),
    ],
)
def test_what_is_wrong_is_said_in_two_lines(world: World, arguments: tuple[str, ...], saying: tuple[str, ...]) -> None:
    before = contents(world.folder)
    outcome: Outcome = call(world.capfd, "report", *arguments, "--images", "0")
    check_refusal(outcome, saying)
    assert contents(world.folder) == before


def test_a_run_that_was_not_evaluated_names_the_command(world: World) -> None:
    shutil.rmtree(world.folder / "run" / "evaluation")
    outcome = call(world.capfd, "report", "run")
    check_refusal(outcome, ("run has no finished evaluation", r"scaseg evaluate -r run/recipe.yaml -w run"))


def test_tables_that_were_changed_are_refused(world: World) -> None:
    path = world.folder / "run" / "evaluation" / "results.json"
    path.write_text(path.read_text().replace("0.", "1.", 1))
    check_refusal(call(world.capfd, "report", "run"), ("is missing, or not what the evaluation wrote",))
