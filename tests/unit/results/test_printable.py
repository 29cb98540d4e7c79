"""Names from files reach a terminal as text: control characters are escapes, in messages, tables, errors and JSON."""

import json

import pytest

from scaseg_cli.cli import failures
from scaseg_cli.cli.output import print_json
from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import logging_to, print_table, say_plainly, say_to_log
from scaseg_cli.results.printable import printable
from scaseg_cli.results.table import Column, Table

NAME = "a\x1b[31mb\x9b2Jc\x07\x08\r\x7f\u202ed\udcff"
SHOWN = r"a\x1b[31mb\x9b2Jc\x07\x08\r\x7f\u202ed\udcff"


@pytest.mark.parametrize(
    "text", ["line\n\tline", "réseau", "道路", "a\u00a0b", "می\u200cشود", "👩\u200d🚀", "[x]", "\\x1b"]
)
def test_text_of_any_language_stays(text):
    assert printable(text) == text


def test_messages_and_the_log(tmp_path, capsys):
    with logging_to(tmp_path / "log.txt"):
        say_plainly(f"skipped: {NAME}")
        say_to_log(NAME)
    assert capsys.readouterr().err == f"skipped: {SHOWN}\n"
    assert (tmp_path / "log.txt").read_text() == f"skipped: {SHOWN}\n{SHOWN}\n"


def test_errors(capsys):
    assert failures.report_error(ScasegError(f"no {NAME}:\n  x", f"Not {NAME}."), debug=False) == 2
    assert capsys.readouterr().err == f"error: no {SHOWN}:\n  x\nNot {SHOWN}.\n"
    assert failures.report_error(KeyError("\x1b[2J"), debug=True) == 1
    assert "\x1b" not in capsys.readouterr().err


def test_tables(capsys):
    print_table(Table(NAME, [Column("name", NAME)], [{"name": f"{NAME}\nx"}], [NAME]))
    out = capsys.readouterr().out
    assert out.count(SHOWN) == 4
    assert f"{SHOWN}\\nx" in out
    assert printable(out) == out


def test_json_keeps_its_value(capsys):
    print_json({NAME: [NAME]})
    out = capsys.readouterr().out
    assert json.loads(out) == {NAME: [NAME]}
    assert printable(out) == out
