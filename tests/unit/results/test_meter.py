"""Progress: regular lines without a terminal and in the log, a bar on a terminal, or messages to another process."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from scaseg_cli.results import console
from scaseg_cli.results.console import Meter, Progress, in_words, logging_to

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait between lines, and `progress_to` undone."""
    monkeypatch.setattr(console, "_LINE_EVERY", 0.0)
    monkeypatch.setattr(console, "_TELL_EVERY", 0.0)
    monkeypatch.setattr(console, "_tell", None)


def _meter() -> Meter:
    """20 of 120 steps of 4 images were done when it began, 50 seconds ago."""
    return Meter("base", 120, 20, "images", 4, seconds=50.0)


def test_a_plain_line_has_all_there_is_to_know(capsys: pytest.CaptureFixture[str]) -> None:
    shown = _meter()
    shown.advance(50, "loss 1.50 [x]")
    shown.advance(0)  # the note stays until the next one
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "base: 70/120, loss 1.50 [x], 4 images/s, 50.0 s left\n" * 2


def test_without_progress_there_is_no_telling_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    Meter("queries", 10).advance(0)
    assert capsys.readouterr().err == "queries: 0/10, unknown time left\n"


def test_beside_a_bar_the_lines_go_to_the_log_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(console, "console", Console(file=screen, force_terminal=True, width=120))
    with logging_to(tmp_path / "log.txt"):
        shown = _meter()
        shown.advance(50, "loss 1.50")
        shown.close()
    assert (tmp_path / "log.txt").read_text() == "base: 70/120, loss 1.50, 4 images/s, 50.0 s left\n"
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert re.search(r"base .* 70/120 .* loss 1\.50, 4 images/s", drawn)


def test_a_worker_tells_and_shows_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Progress] = []
    monkeypatch.setattr(console, "_tell", told.append)
    _meter().advance(5, "n")
    assert tuple(capsys.readouterr()) == ("", "")
    (progress,) = told
    assert progress.pop("seconds") == pytest.approx(50.0, abs=1.0)
    assert progress == {
        "description": "base", "total": 120, "completed": 25, "begun": 20, "unit": "images", "units_per_step": 4,
        "note": "n",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "words"), [(5.04, "5.0 s"), (200, "3 min 20 s"), (7260, "2 h 1 min"), (59.99, "60.0 s")]
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
