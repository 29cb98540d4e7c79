"""The doctor's findings as a table and as JSON, and checks that fail."""

from typing import NoReturn

import pytest

from scaseg_cli.doctor import Finding, as_json_value, as_table, can_start, examine
from scaseg_cli.doctor.examine import CHECKS
from scaseg_cli.doctor.finding import missing, ready, warning
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir

ROWS = [
    ready("Python", "3.11"),
    missing("train images", "coco/train2017 does not exist", "wget one\nunzip one"),
    warning("disk", "1 GB free", "Free some space."),
    missing("train labels", "they do not exist", "wget one\nunzip one"),
]


def test_a_run_can_start_with_warnings_alone() -> None:
    assert not can_start(ROWS)
    assert can_start([ROWS[0], ROWS[2]])


def test_what_mends_two_rows_stands_below_the_table_once() -> None:
    table = as_table("coco-zps", ROWS)
    assert table.title == "coco-zps: 2 missing, 1 warning"
    assert [finding["mend"] for finding in table.rows] == ["", "see 1", "see 2", "see 1"]
    assert table.columns[-1].title == "how to fix it"
    assert table.notes == ["1  wget one\n   unzip one", "2  Free some space."]
    assert as_table("x", ROWS[:1]).title == "x: ready to run"
    assert as_table("x", [ROWS[2], ROWS[2]]).title == "x: ready to run, 2 warnings"


def test_json_has_the_commands_in_each_row() -> None:
    value = as_json_value("coco-zps", ROWS)
    assert (value["recipe"], value["can_start"]) == ("coco-zps", False)
    assert value["rows"][3] == {
        "what": "train labels", "state": "missing", "found": "they do not exist", "mend": "wget one\nunzip one"
    }  # fmt: skip
    assert value["rows"][0]["mend"] is None


def _with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fails(*_: object) -> NoReturn:
        raise error

    monkeypatch.setitem(CHECKS, "CLIP weights", fails)


def _row(rows: list[Finding], what: str) -> Finding:
    return next(finding for finding in rows if finding.what == what)


def test_a_users_mistake_in_a_check_is_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    _with(monkeypatch, ScasegError("no such tag", "Tags: openai"))
    recipe = load_recipe("shapes-zps")
    rows = examine(recipe, RunDir(recipe.folder))
    assert _row(rows, "CLIP weights") == missing("CLIP weights", "no such tag", "Tags: openai")
    assert _row(rows, "disk").state == "ready"


def test_an_opencv_without_libgl_has_one_fix_in_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    _with(monkeypatch, ImportError("libGL.so.1: cannot open shared object file"))
    recipe = load_recipe("shapes-zps")
    finding = _row(examine(recipe, RunDir(recipe.folder), debug=True), "CLIP weights")
    assert finding.found == "OpenCV cannot be imported: libGL.so.1: cannot open shared object file"
    assert "opencv-python-headless" in (finding.mend or "")


def test_what_nobody_foresaw_is_a_row_too_and_a_traceback_with_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    _with(monkeypatch, RuntimeError("driver too old\nmore"))
    recipe = load_recipe("shapes-zps")
    finding = _row(examine(recipe, RunDir(recipe.folder)), "CLIP weights")
    assert finding.state == "missing"
    assert finding.found == "this check failed: RuntimeError: driver too old"
    with pytest.raises(RuntimeError, match="driver too old"):
        examine(recipe, RunDir(recipe.folder), debug=True)
