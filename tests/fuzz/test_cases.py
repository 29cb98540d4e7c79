"""The fuzzing itself: what it accepts, and that a case without end or without bounds is a failure."""

from __future__ import annotations

import errno
import json

import cases
import pytest
import yaml
from cases import COUNTS, EndlessError, assert_succeeds_or_explains
from mutations import ODD, as_json, as_yaml

from scaseg_cli.errors import ScasegError


def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("error", [None, ScasegError("wrong", "Fix it."), OSError(errno.ENOSPC, "full", "file")])
def test_success_and_what_a_user_can_fix_are_accepted(error: Exception | None) -> None:
    before = COUNTS["kind"]
    assert_succeeds_or_explains("kind", lambda: _raise(error) if error is not None else None)
    assert COUNTS["kind"] == before + 1
    del COUNTS["kind"]


@pytest.mark.parametrize(
    "error",
    [KeyError("id"), RecursionError(), MemoryError(), OSError(errno.EINVAL, "odd"), ScasegError("long" * 10_000)],
)
def test_everything_else_is_a_failure(error: Exception) -> None:
    with pytest.raises(type(error)):
        assert_succeeds_or_explains("kind", lambda: _raise(error))
    del COUNTS["kind"]


def test_memory_beyond_the_bound_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "_MEMORY", 2**24)
    assert_succeeds_or_explains("kind", lambda: bytearray(2**22))
    with pytest.raises(MemoryError):
        assert_succeeds_or_explains("kind", lambda: bytearray(2**28))
    bytearray(2**28)
    del COUNTS["kind"]


def test_a_case_without_end_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless() -> None:
        while True:
            try:
                sum(range(1000))
            except Exception:  # no handler of errors holds it up
                continue

    monkeypatch.setattr(cases, "_ALL", 1)
    monkeypatch.setattr(cases, "_CPU", 0.05)
    with pytest.raises(EndlessError):
        assert_succeeds_or_explains("kind", endless)
    del COUNTS["kind"]


def test_odd_values_can_be_written() -> None:
    for odd in ODD:
        assert as_json({"a": odd}).startswith('{"a": ')
        as_yaml([odd])
    assert as_json(["\ue0001e999\ue001", "\x00"]) == '[1e999, "\\u0000"]'
    assert json.loads(as_json([2**64, "é"])) == [2**64, "é"]
    assert yaml.safe_load(as_yaml({"a": [1, "b"]})) == {"a": [1, "b"]}
