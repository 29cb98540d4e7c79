"""Commands that hints, help texts and docstrings of the package name: each exists, with its options."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.main import get_command

from scaseg_cli.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[3] / "scaseg_cli"


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _named() -> Iterator[str]:
    for path in PACKAGE.rglob("*.py"):
        for text in _texts(ast.parse(path.read_text(encoding="utf-8"))):
            yield from re.findall(r"`(scaseg [a-z][^`]*)`", " ".join(text.split()))


NAMED = sorted(set(_named()))


@pytest.mark.parametrize("line", NAMED)
def test_a_named_command_exists_with_its_options(line: str) -> None:
    words = shlex.split(re.split(r" \| | > ", line)[0])[1:]
    command = get_command(app)
    while words and hasattr(command, "commands"):
        name = words.pop(0)
        if not name[:1].islower():  # COMMAND, or an option of all
            return
        assert name in command.commands
        command = command.commands[name]
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)} <= options | {"--help", "-h"}


def test_many_are_named() -> None:
    assert len(NAMED) > 50
    assert "scaseg recipe show" in NAMED
