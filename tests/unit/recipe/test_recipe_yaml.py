"""Scalars are read as in YAML 1.2, and written values are read back unchanged."""

from typing import Any

import pytest
import yaml

from scaseg_cli.recipe.yaml_text import MAX_DEPTH, MAX_SIZE, problem_of, read_yaml, write_yaml


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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!!int 5", 5), ("!!float 5", 5.0), ("!!str 5", "5"), ("!!bool true", True), ("!!null ~", None),
        ("!!seq [1]", [1]), ("!!map {a: 1}", {"a": 1}), ("-.INF", -float("inf")),
    ],
)  # fmt: skip
def test_tags_of_the_core_schema(text: str, value: Any) -> None:
    read = read_yaml(f"key: {text}")["key"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("!!int abc", "'abc' is not of the type !!int"), ("!!int 1.5", "'1.5' is not of the type !!int"),
        ("!!float abc", "'abc' is not of the type !!float"), ("!!float 1:30", "is not of the type !!float"),
        ("!!bool yes", "'yes' is not of the type !!bool"), ("!!null nothing", "is not of the type !!null"),
        ("!!int [1]", "expected a scalar node"), ("!!seq {a: 1}", "expected a sequence node"),
        ("!!map [1]", "expected a mapping node"), ("!!timestamp x", "could not determine a constructor"),
        ("2020-01-01 !!timestamp", None), ("!!binary aGk=", "could not determine"), ("!!set {a, b}", "could not"),
        ("!!omap [a: 1]", "could not"), ("!own 3", "could not"), ("<<", "could not determine"),
        ("9" * 101, "has 101 characters, more than 100"), ("0x" + "f" * 99, "has 101 characters"),
        ("1." + "0" * 99, "has 101 characters"), ('"a\\0"', "has a character that no file name"),
        ('"\\ud800"', "invalid Unicode character"), ('"\\UFFFFFFFF"', "invalid Unicode character"),
        ("{[a]: b}", "unhashable key"), ("*a", "the alias *a repeats what no anchor"),
    ],
)  # fmt: skip
def test_values_that_do_not_convert(text: str, said: str | None) -> None:
    if said is None:
        assert read_yaml(text) == text
        return
    with pytest.raises(yaml.YAMLError) as caught:
        read_yaml(text)
    assert said in problem_of(caught.value)


def test_the_limit_of_depth() -> None:
    assert read_yaml("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    for deeper in ("[" * (MAX_DEPTH + 1), "{a: " * (MAX_DEPTH + 1), "? " * (MAX_DEPTH + 1), "- " * (MAX_DEPTH + 1)):
        with pytest.raises(yaml.YAMLError, match=f"nested more than {MAX_DEPTH} deep"):
            read_yaml(deeper)


def test_an_alias_counts_as_what_it_repeats() -> None:
    long = "x" * (MAX_SIZE // 8)
    assert len(read_yaml(f"[&a {long}, *a, *a, *a]")) == 4
    with pytest.raises(yaml.YAMLError, match=f"come to more than {MAX_SIZE} characters"):
        read_yaml(f"[&a {long}, *a, *a, *a, *a, *a, *a, *a]")


@pytest.mark.parametrize("repeating", ["[*a{0}, *a{0}]", "{{x: *a{0}, y: *a{0}}}", "{{<<: [*a{0}, *a{0}]}}"])
def test_aliases_of_aliases_are_not_expanded(repeating: str) -> None:
    """Each line doubles the last one: the tenth is read, and the twentieth is beyond the limit."""

    def doubled(times: int) -> str:
        lines = (f"- &a{place + 1} {repeating.format(place)}\n" for place in range(times))
        return "- &a0 {z: 1}\n" + "".join(lines)

    assert len(read_yaml(doubled(10))) == 11
    with pytest.raises(yaml.YAMLError, match=f"come to more than {MAX_SIZE} characters"):
        read_yaml(doubled(20))


@pytest.mark.parametrize("text", ["&a [*a]", "&a {b: *a}", "&a {<<: *a}", "{&a [1]: 2, ? *a : 3, ? &b [*b] : 4}"])
def test_an_alias_of_what_it_is_in(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match=r"the alias \*. is inside the value that it repeats"):
        read_yaml(text)
