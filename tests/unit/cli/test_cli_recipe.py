"""`scaseg recipe`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scaseg_cli.recipe import load_recipe, recipe_names, recipe_text

Call = Callable[..., Any]


def test_list_has_every_shipped_recipe(scaseg: Call) -> None:
    code, out, err = scaseg("recipe", "list")
    assert (code, err) == (0, "")
    for name in recipe_names():
        assert f" {name} " in out
        assert load_recipe(name).description in out


def test_list_as_json(scaseg: Call, tmp_path: Path) -> None:
    (tmp_path / "shapes-zps").write_text("no recipe")  # a file of this name must not replace the shipped recipe
    rows = json.loads(scaseg("recipe", "list", "--json").out)["rows"]
    assert [row["name"] for row in rows] == recipe_names()


def test_show_prints_a_recipe_that_is_the_same(scaseg: Call, tmp_path: Path) -> None:
    code, out, err = scaseg("recipe", "show")
    assert (code, err) == (0, "")
    assert out == recipe_text(load_recipe("shapes-zps"))
    (tmp_path / "mine.yaml").write_text(out)
    assert scaseg("recipe", "show", "mine.yaml").out == out


def test_show_with_changes(scaseg: Call) -> None:
    shown = json.loads(scaseg("recipe", "show", "shapes-zps", "--set", "base.amp=off", "--set", "seed=9", "--json").out)
    assert (shown["seed"], shown["base"]["amp"]) == (9, "off")


def test_show_of_a_faulty_recipe(scaseg: Call) -> None:
    code, out, err = scaseg("recipe", "show", "--set", "seed=x")
    assert (code, out) == (2, "")
    assert "seed: should be a valid integer (it is 'x')" in err


def test_check_tells_all_mistakes_of_all_files(scaseg: Call, tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text("extends: shapes-zps\n")
    (tmp_path / "one.yaml").write_text("extends: shapes-zps\nseed: x\ngpus: -1\n")
    (tmp_path / "two.yaml").write_text("extends: shapes-zps\nbase: {tau: 0}\n")
    code, out, err = scaseg("recipe", "check", "one.yaml", "good.yaml", "two.yaml", "gone.yaml")
    assert (code, out) == (2, "")
    assert "good.yaml: good" in err.splitlines()
    for mistake in ("seed: should be", "gpus: should be", "base.tau: should be", "there is no recipe 'gone.yaml'"):
        assert mistake in err


def test_check_of_good_recipes_ends_well(scaseg: Call) -> None:
    assert scaseg("recipe", "check", *recipe_names()).code == 0
    assert scaseg("recipe", "check") == (0, "", "shapes-zps: good\n")
