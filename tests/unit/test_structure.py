"""The rails of the package: names that say what a thing is, no circle of imports, rules that bind a new package."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "scaseg_cli").rglob("*.py"))
# Words that a module, class or function of an earlier version had, and that explained nothing.
OLD_WORDS = set(
    "ablated ahead glance lineup look looks looked optimiser photograph pseudo room shares taking".split()  # noqa: SIM905
)
OLD_NAMES = {
    "aligned", "finished", "ignored", "made_by", "passes", "samples", "together", "views", "votes", "workers",
}  # fmt: skip
# Each of these had several meanings; each has one definition at most.
ONE_MEANING = ("Row", "Cell", "Setting", "Report", "report", "carry_out", "Launcher", "Job", "Node", "Outcome")


@cache
def _definitions() -> tuple[tuple[str, str], ...]:
    """Every module, class, function and type alias of the package, with its file."""
    return tuple(_defined())


def _defined() -> Iterator[tuple[str, str]]:
    for path in FILES:
        place = str(path.relative_to(ROOT))
        yield path.stem if path.stem != "__init__" else path.parent.name, place
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name, place
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if name[:1].isupper() and not name.isupper():
                    yield name, place


def _words(name: str) -> list[str]:
    return re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)


def test_no_module_class_or_function_has_an_old_name() -> None:
    found = _definitions()
    assert len(found) > 1000
    old = [
        (name, place)
        for name, place in found
        if name in OLD_NAMES or OLD_WORDS & {word.lower() for word in _words(name)}
    ]
    assert old == []


@pytest.mark.parametrize("name", ONE_MEANING)
def test_one_word_has_one_meaning(name: str) -> None:
    places = {place for found, place in _definitions() if found == name}  # a command's module and function are one
    assert len(places) <= 1, places


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [path for path in FILES if path.stem in {"utils", "helpers", "common", "misc"}] == []


def test_evaluation_does_one_thing() -> None:
    assert len(list((ROOT / "scaseg_cli" / "evaluation").glob("*.py"))) <= 12


def test_no_imports_go_in_a_circle() -> None:
    """Imports inside functions and for type checkers count, too."""
    modules = {_module(path): path for path in FILES}
    needs = {name: _imported(path, modules.keys()) & modules.keys() - {name} for name, path in modules.items()}
    while True:  # take away what needs nothing, until nothing changes; what is left goes in circles
        free = {name for name, needed in needs.items() if not needed}
        if not free:
            break
        needs = {name: needed - free for name, needed in needs.items() if name not in free}
    assert needs == {}


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imported(path: Path, modules: AbstractSet[str]) -> set[str]:
    """Full names of what a file imports: of ``from a.b import c`` a.b.c if it is one of ``modules``, else a.b."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = {f"{node.module}.{name.name}" for name in node.names}
            found |= names & modules or {node.module}
    return found


@pytest.fixture(scope="module")
def stray(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the import rules say of a copy of the package that has a stray package in it: by rule, kept or broken."""
    folder = tmp_path_factory.mktemp("stray")
    shutil.copytree(ROOT / "scaseg_cli", folder / "scaseg_cli", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    package = folder / "scaseg_cli" / "stray"
    package.mkdir()
    imports = ("mmdet", "typer", "rich", "torch")
    (package / "__init__.py").write_text("".join(f"import {name}\n" for name in imports))
    call = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    done = subprocess.run(
        [sys.executable, "-c", call], cwd=folder, capture_output=True, text=True, env={"COLUMNS": "400", "PATH": ""}
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return dict(re.findall(r"^(.+?) (KEPT|BROKEN)", done.stdout, flags=re.MULTILINE))


def test_every_rule_catches_a_package_that_nobody_listed(stray: dict[str, str]) -> None:
    assert len(stray) == 5
    assert Counter(stray.values()) == {"BROKEN": 5}, stray


def test_every_rule_takes_the_whole_package() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    sources = re.findall(r"^source_modules = (.+)$", text, flags=re.MULTILINE)
    assert set(sources) == {'["scaseg_cli"]'}
    assert len(list(chain(sources))) == 4
