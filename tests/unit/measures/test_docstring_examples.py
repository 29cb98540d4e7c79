"""The examples in the docstrings of scaseg_cli.measures print what they say."""

import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

from scaseg_cli import measures

MODULES = [
    importlib.import_module(item.name) for item in pkgutil.iter_modules(measures.__path__, "scaseg_cli.measures.")
]
WITH_EXAMPLES = [module for module in MODULES if ">>> " in (module.__loader__.get_source(module.__name__) or "")]


@pytest.mark.parametrize("module", WITH_EXAMPLES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_examples_print_what_the_docstring_says(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_package_has_examples() -> None:
    assert len(WITH_EXAMPLES) >= 5
