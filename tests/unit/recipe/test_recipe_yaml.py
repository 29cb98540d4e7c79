"""Scalars are read as in YAML 1.2, and written values are read back unchanged."""

from typing import Any

import pytest

from scaseg_cli.recipe.yaml_text import read_yaml, write_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"), ("yes", "yes"), ("n", "n"), ("true", True), ("False", False),
        ("1e-4", 1e-4), ("-2.5E+3", -2500.0), ("1.", 1.0), (".5", 0.5), ("'1e-4'", "1e-4"), ("1e", "1e"),
        ("010", 10), ("+5", 5), ("0x1F", 31), ("0o17", 15), ("36_875", "36_875"), ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"), ("~", None), ("", None), ("null", None), ("nullify", "nullify"),
        ("1.2.3", "1.2.3"),
    ],
)  # fmt: skip
def test_plain_values(text: str, value: Any) -> None:
    read = read_yaml(f"key: {text}")["key"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        "off", "1e5", "1e-4", "010", "0o17", "0x1f", "null", "~", "", "2026-01-01", "1_0", "y", "true", "a: b", "# x",
        "é", 1e-5, 0.5, 3, -1, True, None, [1.0, 2], {"a": {"b": []}},
    ],
)  # fmt: skip
def test_what_is_written_is_read_back(value: Any) -> None:
    read = read_yaml(write_yaml({"key": value}))["key"]
    assert read == value
    assert type(read) is type(value)


def test_merge_keys_and_anchors_are_understood() -> None:
    assert read_yaml("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\nc: {<<: *a}") == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
        "c": {"x": 1, "y": 2},
    }


def test_keys_keep_their_order() -> None:
    assert list(read_yaml(write_yaml({"z": 1, "a": 2}))) == ["z", "a"]
