import base64
import json

import numpy as np
import pytest
from PIL import Image
from report_page import check_page

from scaseg_cli.comparison.finished_run import open_run
from scaseg_cli.comparison.seed_runs import alone, key_without_seed
from scaseg_cli.comparison.side_by_side import compare
from scaseg_cli.drawing.picture_key import png_key
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import hash_file
from scaseg_cli.html_report.content import gather
from scaseg_cli.html_report.make import make_report
from scaseg_cli.html_report.page import render
from scaseg_cli.recipe import load_recipe

TABLE = {
    "title": "gamma: a <sweep>",
    "columns": [
        {"key": "row", "title": "row", "kind": "text"},
        {"key": "hpq", "title": "ours\nhPQ", "kind": "percent", "spread": "hpq_spread"},
        {"key": "change", "title": "ours\nchange", "kind": "points"},
    ],
    "rows": [{"row": "1", "hpq": 0.25, "hpq_spread": 0.0125, "change": None}],
    "notes": [],
}


def page_of(*runs, images=0):
    contents = [gather(run, images) for run in runs]
    return check_page(render(contents, compare([alone(run) for run in runs]))), contents


def test_names_are_escaped_wherever_they_come_from(make_run):
    page, _ = page_of(make_run("<script>alert(1)</script>"))
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text
    assert "d<o>g" in page.text
    assert "Some <i>images</i>." in page.text


def test_figures_are_those_of_the_tables_at_full_precision(make_run):
    figures = (0.1 + 0.2, 1 / 3, 2 / 7)
    page, _ = page_of(make_run(main={"inductive": figures}))
    assert page.table("one: quality").values == [[1.0, *figures]]
    assert [text for _, text in page.numbers[:3]] == ["28.6", "30.0", "33.3"]  # harmonic, seen, unseen


def test_a_class_without_a_value_has_a_dash(make_run):
    page, _ = page_of(make_run())
    table = page.table("transductive, best snapshot: by class")
    assert [row[0] for row in table.rows] == ["cow", "yak", "cat", "d<o>g"]
    assert table.rows[1][1] == "-"
    assert table.values == [[0.125], [], [0.5], [0.25]]


def test_missing_sections_are_left_out_by_name(make_run):
    page, (content,) = page_of(make_run())
    assert set(content.left_out) == {
        "Curves: base", "Curves: generator", "Curves: fine-tuning", "Images", "Confusion and embeddings",
    }  # fmt: skip
    for section, reason in content.left_out.items():
        assert f"{section}: {reason}" in page.text
    assert not {"run-1-confusion", "run-1-curves", "run-1-images", "run-1-ablations"} & set(page.ids)


def test_only_a_survey_that_cannot_be_made_is_left_out(make_run):
    run = make_run()
    path = run.run.record_file("base")
    path.write_text(
        path.read_text().replace('"outputs": {}', '"outputs": {"base/base.safetensors": {"bytes": 1, "sha256": "0"}}')
    )
    _, (content,) = page_of(run, images=3)
    assert content.left_out["Confusion and embeddings"] == f"{run.run.base_file} is gone"
    assert content.survey is None


def test_ablations_are_shown_with_their_spread(make_run):
    run = make_run()
    folder = run.run.path / "ablations" / "gamma"
    folder.mkdir(parents=True)
    (run.run.path / "ablations" / "stages").mkdir()
    (folder / "results.json").write_text(json.dumps({**TABLE, "key": key_without_seed(run.recipe)}))
    page, (content,) = page_of(run)
    assert page.table("gamma: a <sweep>").rows == [["1", "25.0 ± 1.2", "-"]]
    assert page.table("gamma: a <sweep>").values == [[0.25, 0.0125]]
    assert content.as_json_value()["ablations"]["gamma"]["results"]["rows"] == TABLE["rows"]


def test_ablations_of_another_recipe_are_left_out_by_name(make_run):
    run = make_run()
    other = key_without_seed(load_recipe("shapes-zps", ("union.unseen_pull.beta=0.25",)))
    seed = key_without_seed(load_recipe("shapes-zps", ("seed=5",)))
    for name, more in {"older": {}, "other": {"key": other}, "own": {"key": seed}}.items():
        folder = run.run.path / "ablations" / name
        folder.mkdir(parents=True)
        (folder / "results.json").write_text(json.dumps({**TABLE, "key": other, **more} if more else TABLE))
    page, (content,) = page_of(run)
    assert [one.name for one in content.ablations] == ["own"]
    assert content.left_out["Ablations"].startswith(
        "made by another recipe: other; not known to be made by this recipe: older. "
    )
    assert "made by another recipe: other" in page.text


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"title": 3}'])
def test_a_damaged_ablation_is_left_out_with_its_file(make_run, text):
    run = make_run()
    folder = run.run.path / "ablations" / "gamma"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(text)
    _, (content,) = page_of(run)
    assert str(folder / "results.json") in content.left_out["Ablations"]


def with_examples(run, image):
    """The run with ``image`` as the picture that its evaluation drew."""
    path = run.run.examples_file
    image.save(path)
    record = run.run.record("evaluation")
    record["outputs"][str(path.relative_to(run.run.path))] = {"sha256": hash_file(path), "bytes": path.stat().st_size}
    run.run.write_record("evaluation", record)
    return open_run(run.label, run.run.path, run.recipe)


def test_a_large_picture_is_reduced(make_run):
    noise = np.random.default_rng(0).integers(0, 255, (600, 700, 3), np.uint8)
    run = with_examples(make_run(), Image.fromarray(noise))
    page, _ = page_of(run)
    (link,) = (link for link in page.links if link.startswith("data:"))
    kind, _, data = link.partition(";base64,")
    assert kind == "data:image/jpeg"
    assert len(base64.b64decode(data)) < run.run.examples_file.stat().st_size
    page, _ = page_of(with_examples(run, Image.new("RGB", (9, 9))))
    (link,) = (link for link in page.links if link.startswith("data:"))
    assert base64.b64decode(link.partition(";base64,")[2]) == run.run.examples_file.read_bytes()


def test_grids_in_the_run_folder_are_shown_as_far_as_there_is_room(make_run):
    run = make_run()
    noise = np.random.default_rng(0).integers(0, 255, (500, 500, 3), np.uint8)  # 750 kB; base 64 adds a third
    for name in ("best", "chosen", "worst", "examples"):
        path = run.run.visualization_file(name, ".png")
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(noise).save(path, pnginfo=png_key(run.evaluation_key))
    page, (content,) = page_of(run)
    assert [grid.name for grid in content.grids] == ["best"]
    assert content.left_out["Grids"] == "no room: chosen.png, worst.png"
    assert "run-1-images" in page.ids
    path.with_name("best.png").write_bytes(b"no picture")
    _, (content,) = page_of(run)
    assert content.left_out["Grids"].startswith(f"the picture {path.with_name('best.png')} cannot be read: ")


def test_pictures_of_other_weights_are_left_out_and_named(make_run):
    run = with_examples(make_run(), Image.new("RGB", (9, 9)))
    path = run.run.visualization_file("own", ".png")
    path.parent.mkdir()
    for name, info in {"own": png_key(run.evaluation_key), "old": png_key("0" * 64), "plain": None}.items():
        Image.new("RGB", (9, 9)).save(path.with_stem(name), pnginfo=info)
    page, (content,) = page_of(run)
    assert [grid.name for grid in content.grids] == ["own"]
    assert content.left_out["Grids"] == (
        "made by other weights or another recipe: old.png; not known to be made by these weights: plain.png. "
        "`scaseg visualize` draws grids of the present ones"
    )
    assert "old.png" in page.text
    Image.new("RGB", (8, 8)).save(run.run.examples_file)  # by hand, or by a later evaluation that was interrupted
    _, (content,) = page_of(run)
    assert content.examples is None
    assert content.left_out["Images"] == f"{run.run.examples_file} is not what this evaluation drew"


def test_two_runs_share_no_id(make_run):
    page, _ = page_of(make_run("one"), make_run("two"))
    assert {"comparison", "run-1", "run-2", "run-1-made", "run-2-made"} <= set(page.ids)
    assert page.table("Main rows: PQ").rows[1][1] == "two"


def test_the_same_run_gives_the_same_bytes(make_run, tmp_path):
    run = make_run()
    pages = [tmp_path / name for name in ("a.html", "b.html")]
    for path in pages:
        outcome = make_report([run], path, images=0)
    assert pages[0].read_bytes() == pages[1].read_bytes()
    assert outcome.as_json_value()["path"] == str(pages[1])
    assert outcome.as_json_value()["bytes"] == pages[1].stat().st_size
    json.dumps(outcome.as_json_value(), allow_nan=False)


def test_a_page_that_cannot_be_written_leaves_the_older_one(make_run, tmp_path):
    run = make_run()
    with pytest.raises(ScasegError, match="is a folder"):
        make_report([run], tmp_path, images=0)
    (tmp_path / "file").touch()
    with pytest.raises(ScasegError, match="cannot write"):
        make_report([run], tmp_path / "file" / "report.html", images=0)
    assert not list(tmp_path.glob(".*.tmp"))
