"""Tables on stdout, in a pipe and on a terminal."""

import os
import re
import subprocess
import sys

import pytest

from scaseg_cli.results.console import print_table
from scaseg_cli.results.table import Column, Table

COLUMNS = [Column("model", "Model"), Column("hpq", "hPQ", "percent"), Column("steps", "Steps", "count")]


def lines(text):
    return [line.rstrip() for line in text.splitlines()]


def test_a_pipe_gets_plain_aligned_text(capsys):
    rows = [
        {"model": "base [bold]x[/]", "hpq": 0.105, "steps": 1000, "_section": True},
        {"model": "union", "hpq": 1.0, "steps": 5, "_style": "bold"},
        {"model": "none", "_style": "dim"},
    ]
    print_table(Table("Results [a]", COLUMNS, rows, ["One note."]))
    out, err = capsys.readouterr()
    assert err == ""
    assert lines(out) == [
        "Results [a]",
        "",
        "  Model             hPQ %   Steps",
        " ─────────────────────────────────",
        "  base [bold]x[/]    10.5    1000",
        "",
        "  union             100.0       5",
        "  none                  -       -",
        "",
        "One note.",
    ]


@pytest.mark.parametrize("settings", [{}, {"COLUMNS": "40"}, {"FORCE_COLOR": "1", "TERM": "dumb", "COLUMNS": "40"}])
def test_a_pipe_cuts_and_folds_nothing(capsys, monkeypatch, settings):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    name = "a name that goes on and on " * 8 + "to its end"
    columns = [Column("name", "Name"), *(Column(f"n{i}", f"Number {i}", "number") for i in range(12))]
    row = {"name": name, **{f"n{i}": 0.5 for i in range(12)}}
    print_table(Table("Wide", columns, [row], ["word " * 60 + "end"]))
    out = lines(capsys.readouterr().out)
    assert sum(name in line and line.count("0.500") == 12 for line in out) == 1
    assert sum("word" in line and "end" in line for line in out) == 1


def test_a_note_stays_one_line_and_keeps_its_brackets(capsys):
    note = "see [recipe] " * 20 + "end"
    print_table(Table("T", COLUMNS, [{"model": "base"}], [note]))
    assert lines(capsys.readouterr().out)[-1] == note


def test_a_narrow_terminal_folds_text_and_keeps_numbers(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    print_table(Table("T", COLUMNS, [{"model": "abcdefghij" * 6, "hpq": 0.123, "steps": 123456}]))
    out = lines(re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out))
    assert max(map(len, out)) <= 40
    assert out[4:8] == [
        "  abcdefghijabcdefghi    12.3   123456",
        "  jabcdefghijabcdefgh",
        "  ijabcdefghijabcdefg",
        "  hij",
    ]


def test_a_narrow_terminal_leaves_details_out_and_says_so(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    columns = [Column("model", "model"), Column("hpq", "hPQ", "percent"), Column("hsq", "hSQ", "percent", True)]
    row = {"model": "a model's name", "hpq": 0.123, "hsq": 0.456}
    for width, shown in ((30, False), (80, True)):
        monkeypatch.setenv("COLUMNS", str(width))
        print_table(Table("T", columns, [row]))
        out = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
        assert "12.3" in out
        assert ("45.6" in out) is shown
        assert ("Omitted on this narrow terminal: hSQ." in out) is not shown


def test_single_cells_stand_out(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    rows = [{"model": "base", "hpq": 0.1, "steps": 7, "_best": {"steps"}}, {"model": "union", "hpq": 0.2, "steps": 5}]
    print_table(Table("T", COLUMNS, rows))
    bold = re.findall(r"\x1b\[1m *(\S+?) *\x1b\[0m", capsys.readouterr().out)
    assert [word for word in bold if word in ("7", "5", "10.0", "20.0")] == ["7"]


def test_a_terminal_without_unicode_gets_a_table(tmp_path):
    program = (
        "from scaseg_cli.results.console import print_table\n"
        "from scaseg_cli.results.table import Column, Table\n"
        "print_table(Table('T', [Column('pq', 'PQ', 'percent', spread='s')], [{'pq': 0.5, 's': 0.01}]))\n"
    )
    settings = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", program], env=settings, cwd=tmp_path, capture_output=True, check=True)
    assert "50.0 ? 1.0" in done.stdout.decode("ascii")


def test_tables_are_printed_without_numpy_or_torch(tmp_path):
    program = (
        "import sys\n"
        "import scaseg_cli.results.console, scaseg_cli.results.stage_report\n"
        "print({'numpy', 'torch', 'pandas'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
