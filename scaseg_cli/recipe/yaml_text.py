"""YAML 1.2's scalars for recipes, without duplicate keys.

PyYAML reads version 1.1, where ``amp: off`` is false, ``1e-4`` is text, ``010`` is eight and the later of two equal
keys wins. A recipe misread in this way would train something else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from pathlib import Path

_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?[0-9]+$|0x[0-9a-fA-F]+$|0o[0-7]+$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$")
_CORE = (
    ("null", re.compile(r"(~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    ("int", _INT, list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
    ("merge", re.compile(r"<<$"), ["<"]),
)


class _Loader(yaml.SafeLoader):
    """Reads scalars by YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012  # PyYAML's name; drops its 1.1 rules

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                problem = f"the key {key.value!r} occurs twice"
                raise yaml.composer.ComposerError(None, None, problem, key.start_mark)
            seen.add(str(key.value))
        return node

    def construct_core_int(self, node: yaml.ScalarNode) -> int:
        text = self.construct_scalar(node)
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)


class _Dumper(yaml.SafeDumper):
    """Quotes text that YAML 1.1 or 1.2 would read as a number or boolean, so that both versions read the same."""


for _name, _pattern, _first in _CORE:
    _Loader.add_implicit_resolver(_TAG + _name, _pattern, _first)
for _name, _pattern in (("float", _FLOAT), ("int", _INT)):
    _Dumper.add_implicit_resolver(_TAG + _name, _pattern, list("-+.0123456789"))
_Loader.add_constructor(_TAG + "int", _Loader.construct_core_int)


def read_yaml(text: str) -> Any:
    """Parse ``text`` as YAML.

    Raises:
        yaml.YAMLError: the text is not YAML, or a mapping has a key twice.
    """
    return yaml.load(text, Loader=_Loader)  # a SafeLoader, which creates only plain values


def read_mapping(path: Path, what: str, advice: str) -> dict[str, Any]:
    """Read a YAML file with a mapping at its top level.

    Args:
        path: the file.
        what: the file's name in errors ("recipe").
        advice: hint for a file without a mapping.

    Raises:
        ScasegError: the file cannot be read, is not YAML, or is not a mapping.
    """
    try:
        content = read_yaml(path.read_text(encoding="utf-8-sig"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be read as YAML"
        raise ScasegError(f"{what} {path}{where}: {problem}", "Fix the YAML there.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ScasegError(f"{what} {path} cannot be read: {error}", "Use UTF-8 text.") from error
    if not isinstance(content, dict):
        raise ScasegError(f"{what} {path} is not a mapping of keys to values", advice)
    return content


def write_yaml(value: Any) -> str:
    """``value`` as YAML, with keys in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
