"""`scaseg report`: its help, and errors before anything is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


def test_help_teaches(scaseg: Call) -> None:
    code, out, err = scaseg("report", "--help")
    assert (code, err) == (0, "")
    text = " ".join(out.split())
    assert "Usage: scaseg report" in text
    for words in ("Example: scaseg report runs/shapes-zps runs/seed-1 -o report.html", "Reads", "Writes"):
        assert words in text
    for option in ("--output", "-o", "--images", "--recipe", "--work-dir", "--gpus", "--json", "--debug"):
        assert f" {option} " in out


def test_the_list_of_commands_has_it(scaseg: Call) -> None:
    assert " report " in scaseg("--help").out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "error: runs/shapes-zps has no finished evaluation"),
        (("-r", "shapes-zss", "-w", "mine"), "error: mine has no finished evaluation"),
        (("mine",), "error: mine is not a run folder: it does not exist"),
        (("mine", "-w", "other"), "error: --work-dir other and mine both say which run it is"),
        (("--images", "-1"), "Invalid value for '--images'"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    scaseg: Call, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    code, out, err = scaseg("report", *arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
