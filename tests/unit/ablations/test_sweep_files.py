"""Sweep files: where they are found, and that all their mistakes are reported at once."""

import re
from pathlib import Path

import pytest

from scaseg_cli.ablations.cells import make_ablation
from scaseg_cli.ablations.find import RESERVED, find_sweep, read_sweep, sweep_files
from scaseg_cli.errors import ScasegError

ROOT = Path(__file__).parents[3]


def test_every_shipped_sweep_makes_cells_of_the_shipped_recipe(recipe):
    assert len(sweep_files()) == len(list((ROOT / "sweeps").glob("*.yaml"))) == 17
    for name in sweep_files():
        ablation = make_ablation(*find_sweep(name), recipe, (0,))
        for setting in ablation.settings:
            assert sum(row.is_default for row in ablation.rows if setting in row.settings) == 1


def test_the_published_tables_come_first_and_in_their_order():
    assert list(sweep_files())[:8] == [
        "bank-size", "null-embedding", "bank-temperature", "pseudo-seen", "pseudo-unseen", "increment", "gamma",
        "enhancement",
    ]  # fmt: skip


def test_the_local_folder_sweeps_is_searched_and_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweeps").mkdir()
    for name in ("mine", "gamma"):
        (tmp_path / "sweeps" / f"{name}.yaml").write_text("title: Own\nvaries: [base.v2c.gamma]\nvalues: [1.0]\n")
    assert find_sweep("mine")[1].title == "Own"
    assert find_sweep("gamma")[1].title == "Own"
    assert list(sweep_files())[-1] == "mine"
    assert find_sweep("bank-size")[1].title != "Own"


def test_a_sweep_file_may_be_anywhere(tmp_path):
    (tmp_path / "far.yaml").write_text("title: Far\nvaries: [base.v2c.gamma]\nvalues: [1.0]\n")
    assert find_sweep(str(tmp_path / "far.yaml"))[0] == "far"


def test_an_unknown_name_is_reported_with_the_nearest_one():
    with pytest.raises(ScasegError, match="there is no ablation 'bank-sise'") as caught:
        find_sweep("bank-sise")
    assert "Did you mean bank-size" in (caught.value.hint or "")
    assert "scaseg ablate list" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("title: T\nvaries: [a]\nvalluse: [1]\n", ["valluse: unknown key, did you mean 'values'?"]),
        ("varies: [a]\nvalues: []\n", ["title: is missing", "values: "]),
        ("title: T\nvaries: [a]\n", ["needs either varies and values, or rows"]),
        (
            "title: T\nvaries: [a]\nvalues: [1]\nrows: [{label: x, set: {a: 1}}]\n",
            ["needs either varies and values, or rows"],
        ),
        ("title: T\nvaries: [a, b]\nvalues: [[1, 2], 3]\n", ["3 is not a list of 2 values, one for each of a, b"]),
        ("title: T\nvaries: [a]\nvalues: [1, 1.0]\n", ["two rows are named '1'"]),
        ("title: T\nvaries: [seed]\nvalues: [1]\n", ["seed cannot be varied: use --seeds"]),
        (
            "title: T\nvaries: [a]\nvalues: [1]\npublished: bank_sise\n",
            ["no published table 'bank_sise', did you mean 'bank_size'?"],
        ),
        (
            "title: T\nrows: [{label: 3, set: {}}]\nsettings: [x]\n",
            ["rows.0.label: should be a valid string", "rows.0.set: ", "settings.0: should be 'inductive'"],
        ),
        (
            "title: T\nvaries: [a]\nvalues: [1]\nclaims: [{row: 1, against: 7, setting: inductive, is: higher}]\n",
            ["claims: there is no row '7'"],
        ),
        ("title: T\nvaries: [a]\nvalues: [.inf]\n", ["values.0: is not a finite number"]),
        ("- 1\n", ["is not a mapping"]),
        ("title: [\n", ["line"]),
    ],
)
def test_all_mistakes_are_reported(tmp_path, text, lines):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ScasegError) as caught:
        read_sweep(path)
    assert str(path) in caught.value.message
    for part in lines:
        assert part in caught.value.message, caught.value.message


@pytest.mark.parametrize("name", [*RESERVED, "-x", "a b"])
def test_reserved_and_invalid_names_are_refused(tmp_path, name):
    (tmp_path / f"{name}.yaml").write_text("title: T\nvaries: [base.v2c.gamma]\nvalues: [1.0]\n")
    with pytest.raises(ScasegError, match=re.escape(repr(name))):
        read_sweep(tmp_path / f"{name}.yaml")
