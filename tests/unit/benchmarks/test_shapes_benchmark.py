"""The benchmark's page: means, spreads and sentences by rule; and what its runs share."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from scaseg_cli.errors import ScasegError

FOLDER = Path(__file__).parents[3] / "benchmarks"
CONTROLS = {"base-best-increment": 0.41, "control": 0.2, "control-best-increment": 0.43}


def _imported(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    assert (FOLDER / f"{name}.py").is_file()
    monkeypatch.syspath_prepend(str(FOLDER))
    for stem in ("shapes", "shapes_page"):
        monkeypatch.delitem(sys.modules, stem, raising=False)
    module = importlib.import_module(name)
    assert Path(str(module.__file__)).parent == FOLDER
    return module


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return _imported("shapes_page", monkeypatch)


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return _imported("shapes", monkeypatch)


def _records(hpq: dict[str, float]) -> dict[str, dict[str, Any]]:
    """Records of a run whose rows have these harmonic PQ, and half of it over seen and unseen classes."""
    groups = {name: {"seen": {"pq": x / 2}, "unseen": {"pq": x / 2}, "harmonic": {"pq": x}} for name, x in hpq.items()}
    versions = dict.fromkeys(("scaseg", "python", "torch", "mmdet", "numpy"), "1.0")
    split = dict.fromkeys(("num_seen", "num_unseen", "train", "selection", "validation"), 8)
    return {
        "split": {"summary": split, "seconds": 1.0},
        "base": {"summary": {}, "seconds": 3.0},
        "evaluation": {"summary": groups, "versions": versions, "seconds": 4.0},
    }


def _results(page: ModuleType, transductive: tuple[float, ...] = (0.5, 0.6, 0.7)) -> Any:
    results = page.Results()
    for seed, hpq in enumerate(transductive):
        rows = {"base": 0.3, "inductive": 0.4, **CONTROLS, "transductive": hpq, "transductive-best-increment": hpq}
        for variant in page.TITLES:
            shift = -0.1 if variant == "published" else 0.0
            results.add(variant, seed, variant, _records({name: x + shift for name, x in rows.items()}))
    return results


def test_spread_is_the_sample_standard_deviation(page):
    assert page.with_spread([0.5, 0.6, 0.7]) == "60.0 ± 10.0"


def test_one_seed_has_no_spread(page):
    assert page.with_spread([0.612]) == "61.2"


@pytest.mark.parametrize(
    ("values", "others", "sentence"),
    [
        ([0.5, 0.6], [0.4, 0.3], "*A* is above *b* in 2 of 2 seeds; the mean difference in hPQ is +20.0 "
         "points (+10.0 to +30.0)."),
        ([0.4, 0.3], [0.5, 0.6], "*A* is below *b* in 2 of 2 seeds; the mean difference in hPQ is -20.0 "
         "points (-30.0 to -10.0)."),
        ([0.5, 0.4], [0.4, 0.45], "*A* is above *b* in 1 and below it in 1 of 2 seeds; the mean difference in hPQ is "
         "+2.5 points (-5.0 to +10.0). The seeds disagree, so neither is shown to be better."),
        ([0.5, 0.4], [0.4, 0.4], "*A* is above *b* in 1 and equal to it in 1 of 2 seeds; the mean difference in hPQ "
         "is +5.0 points (+0.0 to +10.0)."),
        ([0.5], [0.5], "*A* is equal to *b* in 1 of 1 seeds; the difference in hPQ is +0.0 points."),
    ],
)  # fmt: skip
def test_the_sentence_follows_the_figures(page, values, others, sentence):
    assert page.compared("a", values, "b", others, "hPQ") == sentence


def test_values_of_unlike_seeds_are_not_compared(page):
    with pytest.raises(ValueError, match="zip"):
        page.compared("a", [0.5, 0.6], "b", [0.4], "hPQ")


def test_the_main_table_has_means_over_seeds(page):
    table = page.result_tables(_results(page))[0]
    row = next(row for row in table.rows if row["row"] == "transductive, no increment")
    assert (row["seen"], row["harmonic"]) == ("30.0 ± 5.0", "60.0 ± 10.0")
    assert table.notes[0].endswith("in 3 of 3 seeds; the mean difference in hPQ is +20.0 points (+10.0 to +30.0).")


def test_another_measure_is_called_by_its_name(page):
    results = _results(page)
    for records in results.records.values():
        for groups in records["evaluation"]["summary"].values():
            for group in groups.values():
                group["iou"] = group.pop("pq")
    results.measure = "iou"
    table = page.result_tables(results)[0]
    assert [column.title for column in table.columns[1:]] == ["sIoU %", "uIoU %", "hIoU %"]
    assert "the mean difference in hIoU is +20.0 points" in table.notes[0]
    assert page.gain_table(results).columns[2].title == "its hIoU"
    assert page.seed_table(results).title == "hIoU of each seed"


def test_the_gain_is_over_the_better_control_of_each_seed(page):
    results = _results(page, (0.5, 0.41))
    results.records["recipe", 1]["evaluation"]["summary"]["base-best-increment"]["harmonic"]["pq"] = 0.45
    first, second, means = page.gain_table(results).rows
    assert (first["which"], first["gain"]) == ("control, best increment", pytest.approx(0.07))
    assert (second["which"], second["gain"]) == ("base, best increment", pytest.approx(-0.04))
    assert means["gain"] == pytest.approx(0.015)
    assert means["ratio"] == pytest.approx((0.5 / 0.4 + 0.41 / 0.4) / 2)


def test_no_ratio_to_nothing(page):
    results = _results(page, (0.5,))
    results.records["recipe", 0]["evaluation"]["summary"]["inductive"]["harmonic"]["pq"] = 0.0
    rows = page.gain_table(results).rows
    assert rows[0]["ratio"] is None
    assert "ratio" not in rows[-1]


def test_the_page_is_whole_and_names_equal_runs(page, shapes):
    results = _results(page)
    results.keys["no-pull"] = "recipe"
    recipe = shapes.load_recipe("shapes-zps")
    text = page.page(results, recipe, shapes.VARIANTS, "the command", 2)
    assert "`union.unseen_pull.beta=0`: same as the recipe |" in text
    assert "| generator as published: transductive, no increment | 40.0 | 50.0 | 60.0 |" in text
    assert "| **all** | **8.00** |" in text
    assert "every figure is from the validation images" in text
    assert "the command" in text


def test_variants_that_were_not_run_have_no_table(page, shapes):
    results = _results(page)
    for variant in ("longer", "published-150"):
        del results.keys[variant]
        results.records = {place: records for place, records in results.records.items() if place[0] != variant}
    text = page.page(results, shapes.load_recipe("shapes-zps"), {"recipe": ()}, "the command", 1)
    assert "longer base training" not in text.lower()
    assert "n_u = 150" not in text
    assert "### The generator as published" in text
    assert "without V2C: base, best increment" in text


def test_a_figure_that_is_not_defined_is_an_error(page):
    results = _results(page, (0.5,))
    results.records["recipe", 0]["evaluation"]["summary"]["control"]["harmonic"]["pq"] = None
    with pytest.raises(ScasegError, match="lack"):
        page.seed_table(results)


def test_runs_with_one_base_model_follow_each_other(shapes, tmp_path):
    jobs = shapes.make_jobs("shapes-zps", (), (0, 1), tmp_path)
    found = [[(job.seed, job.variant) for job in chain] for chain in shapes.chains(jobs)]
    shared = [name for name in shapes.VARIANTS if name not in ("no-v2c", "longer")]
    assert found[:2] == [[(seed, name) for name in shared] for seed in (0, 1)]
    assert sorted(found[2:]) == sorted([(seed, name)] for seed in (0, 1) for name in ("no-v2c", "longer"))


def test_a_recipe_without_what_is_compared_is_refused(shapes, tmp_path):
    with pytest.raises(ScasegError, match="leaves out"):
        shapes.make_jobs("shapes-zps", ("union.control=false",), (0,), tmp_path)


def test_the_command_shows_no_path_of_this_machine(shapes, tmp_path):
    options = shapes._options(["--folder", str(tmp_path), "--recipe", str(tmp_path / "own.yaml"), "--set", "seed=3"])
    assert shapes._command(options).endswith("--folder FOLDER --jobs 1 --recipe own.yaml --set seed=3")
