"""The results in docs/ablations.md: counts, directions and tables, below what people wrote there."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delitem(sys.modules, "ablations_page", raising=False)
    return importlib.import_module("ablations_page")


def _report(name: str, verdicts: list[str] | None) -> dict[str, Any]:
    columns = [
        {"key": "setting", "title": "setting", "kind": "text"},
        {"key": "hpq", "title": "hPQ", "kind": "percent"},
    ]
    rows = [{"setting": "inductive", "hpq": x} for x in (0.1, 0.3, None)] + [{"setting": "transductive", "hpq": 0.2}]
    tables = [{"title": f"{name}: title", "columns": columns, "rows": rows, "notes": ["A note."]}]
    if verdicts is not None:
        effects = [{"setting": "inductive", "hpq": 0.1, "verdict": verdict} for verdict in verdicts]
        columns = [*columns, {"key": "verdict", "title": "direction", "kind": "text"}]
        tables.append({"title": "effects", "columns": columns, "rows": effects, "notes": []})
    counts = {"num_cells": 4, "num_plain": 32, "num_own": 7, "num_stages": 15, "seconds_own": 90.0}
    return {"ablations": [{"name": name, "title": "title", "tables": tables, "wrote": []}], **counts}


def test_results_take_the_place_of_those_that_were_there(module):
    reports = [_report("gamma", ["agrees", "opposite"]), _report("mine", None)]
    text = f"# By hand\n{module.MARK}\nold results\n"
    page = module.page(text, ["gamma", "mine -w x"], reports, {"gamma": "images/ablations/gamma.svg"})
    assert page.startswith(f"# By hand\n{module.MARK}\n")
    assert "old results" not in page
    assert "scaseg ablate gamma\nscaseg ablate mine -w x\n" in page
    assert "| ablate gamma | 4 | 32 | 7 | 8 | 1 min 30 s |" in page
    assert "| gamma | 2 | 1 | 1 |" in page
    assert "| **all** | **2** | **1** | **1** |" in page
    assert "![title](images/ablations/gamma.svg)" in page
    assert page.count("### mine: title") == 1
    assert module.page(page, ["gamma", "mine -w x"], reports, {"gamma": "images/ablations/gamma.svg"}) == page


def test_of_an_ablation_that_ran_twice_the_last_report_is_shown(module):
    reports = [_report("gamma", ["opposite", "opposite"]), _report("gamma", ["agrees"])]
    page = module.page(f"{module.MARK}", ["all", "gamma --seeds 0,1"], reports, {})
    assert "| ablate all | 4 | 32 | 7 | 8 | 1 min 30 s |" in page
    assert page.count("### gamma: title") == 1
    assert "| gamma | 1 | 1 |" in page
    assert "opposite" not in page


def test_the_highest_of_each_setting_stands_out(module):
    lines = module.as_table(_report("gamma", None)["ablations"][0]["tables"][0]).to_markdown().splitlines()
    assert lines[4:8] == [
        "| inductive | 10.0 |",
        "| inductive | **30.0** |",
        "| inductive | - |",
        "| transductive | 20.0 |",
    ]


def test_pictures_are_copied_beside_the_page(module, tmp_path):
    (tmp_path / "plot.svg").write_text("<svg/>")
    report = _report("gamma", None)
    report["ablations"][0]["wrote"] = [str(tmp_path / "results.json"), str(tmp_path / "plot.svg")]
    assert module.copy_pictures("gamma", report, tmp_path / "images") == {"gamma": "images/ablations/gamma.svg"}
    assert (tmp_path / "images" / "gamma.svg").read_text() == "<svg/>"
    found = module.copy_pictures("gamma -r shapes-zps-published", report, tmp_path / "images")
    assert found == {"gamma, shapes-zps-published": "images/ablations/gamma-shapes-zps-published.svg"}


def test_seeds_come_one_by_one_and_are_kept(module, monkeypatch, tmp_path):
    page, reports = tmp_path / "page.md", tmp_path / "reports.json"
    page.write_text(module.MARK)
    ran = []

    def run(words: str) -> dict[str, Any]:
        ran.append(words)
        if len(ran) == 3:
            raise SystemExit(2)
        report = _report("gamma", ["agrees"])
        report["ablations"][0] |= {"cells": [{"row": "1", "seed": 0, "folder": str(tmp_path)}], "failures": []}
        return report

    monkeypatch.setattr(module, "run", run)
    words = ["gamma -r mine.yaml --seeds 4,5 --jobs 2", "gamma"]
    with pytest.raises(SystemExit):
        module.main([*words, "--page", str(page), "--reports", str(reports)])
    assert ran == ["gamma -r mine.yaml --seeds 4 --jobs 2", words[0], "gamma"]
    assert str(tmp_path) not in reports.read_text()
    assert module.main(["--page-only", "--page", str(page), "--reports", str(reports)]) == 0
    assert "## gamma, mine\n" in page.read_text()
    assert module.main([words[1], "--page", str(page), "--reports", str(reports)]) == 0
    text = page.read_text()
    assert text.count("## gamma\n") == text.count("## gamma, mine\n") == 1
    assert "| gamma, mine | 1 | 1 |" in text


def test_a_command_that_ends_with_a_mistake_ends_this_too(module, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        module.main(["bank-sise", "--page", str(tmp_path / "page.md")])
    assert ended.value.code == 2
