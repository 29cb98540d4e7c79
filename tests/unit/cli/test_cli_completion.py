"""What the shell offers after Tab, as the shell asks for it; nothing of it loads the network."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import typer

from scaseg_cli.cli import completion
from scaseg_cli.recipe import load_recipe, recipe_names
from scaseg_cli.split.unseen import KNOWN_SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def offered(words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    from scaseg_cli.cli.app import main

    monkeypatch.setenv("_SCASEG_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    assert main([]) == 0
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("scaseg sta", ["status"]),
        ("scaseg run --recipe msrc-zss", ["msrc-zss", "msrc-zss-near"]),
        ("scaseg run --set base.v2c.g", ["base.v2c.gamma=2.0"]),
        ("scaseg run -r coco-zps --set base.backbone.d", ["base.backbone.depth=50"]),
        ("scaseg ablate pseudo", ["pseudo-seen", "pseudo-unseen"]),
        ("scaseg evaluate --unseen shapes", ["shapes-zps", "shapes-zss"]),
        ("scaseg recipe show shapes-zp", ["shapes-zps", "shapes-zps-maskformer", "shapes-zps-published"]),
        ("scaseg recipe check nothing-like-it", []),
    ],
)
def test_the_shell_is_offered_what_fits(
    words: str,
    found: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert offered(words, monkeypatch, capsys) == found


def names(offers: Iterable[completion.Offer]) -> list[str]:
    return [word for word, _ in offers]


def context(**values: Any) -> typer.Context:
    made = typer.Context(typer.main.get_command(typer.Typer(callback=lambda: None, invoke_without_command=True)))
    made.params = values
    return made


def test_every_key_is_offered_with_the_value_that_set_reads() -> None:
    words = names(completion.keys(context(), ""))
    assert len(words) > 100
    assert all("=" in word for word in words)
    recipe = load_recipe("shapes-zps")
    for word in words:
        assert load_recipe("shapes-zps", (word,)) == recipe, word
    described = dict(completion.keys(context(recipe="coco-zps"), "data.names"))
    assert "names that a class has" in described["data.names=all"]


def test_a_recipe_that_cannot_be_read_leaves_the_keys_of_the_default() -> None:
    assert names(completion.keys(context(recipe="no-such"), "seed")) == ["seed=0"]


def test_recipes_are_names_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    for name in ("mine.yaml", "mine.txt", "own/voc.yml", ".hidden.yaml"):
        (tmp_path / name).touch()
    assert names(completion.recipes("")) == [*recipe_names(), "mine.yaml"]
    assert names(completion.recipes("o")) == ["own/"]
    assert names(completion.recipes("own/")) == ["own/voc.yml"]
    assert names(completion.recipes(f"{tmp_path}/m")) == [f"{tmp_path}/mine.yaml"]
    assert names(completion.recipes("nowhere/")) == []
    assert names(completion.splits("")) == list(KNOWN_SPLITS)


def test_offering_names_loads_no_network() -> None:
    code = """
import os, sys
os.environ |= {"_SCASEG_COMPLETE": "complete_bash", "COMP_WORDS": "scaseg run --set base.", "COMP_CWORD": "3"}
from scaseg_cli.cli.app import main
main([])
print(*[name for name in ("torch", "mmdet", "numpy") if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "base.iterations=" in done.stdout
    assert done.stderr.split() == []
