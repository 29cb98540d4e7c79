"""Inputs that the project does not contain: tests find them where SCASEG_TEST_DATA says, and are skipped without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def outside(name: str) -> Path:
    """The folder or file ``name`` in SCASEG_TEST_DATA; a path that does not exist if the variable is not set."""
    return Path(os.environ.get("SCASEG_TEST_DATA", "SCASEG_TEST_DATA-is-not-set")).resolve() / name


def needs_outside(name: str) -> pytest.MarkDecorator:
    """Skips a test unless ``name`` is there."""
    return pytest.mark.skipif(not outside(name).exists(), reason=f"SCASEG_TEST_DATA has no {name}")
