"""YAML 1.2's scalars for recipes, without duplicate keys, and with limits that are checked while reading.

PyYAML reads version 1.1, where ``amp: off`` is false, ``1e-4`` is text, ``010`` is eight and the later of two equal
keys wins. A recipe misread in this way would train something else. It also has no limits: a few lines of aliases of
aliases stand for more values than fit into memory.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from scaseg_cli.errors import ScasegError

try:  # libyaml, which PyYAML's wheels contain, is several times faster
    from yaml import CSafeDumper as _SafeDumper
    from yaml import CSafeLoader as _SafeLoader
except ImportError:
    from yaml import SafeDumper as _SafeDumper  # type: ignore[assignment]
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

if TYPE_CHECKING:
    from pathlib import Path

MAX_DEPTH = 50  # mappings and lists inside each other; recipes need five
MAX_SIZE = 2**20  # characters of a file; and characters plus values, where an alias counts as what it repeats
_LONGEST_NUMBER = 100  # characters
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
_NO_TEXT = re.compile("[\0\ud800-\udfff]")  # no file name can hold them


class _Limits:
    """Checks a text event by event, before any of it is composed: nesting, size, and keys that occur twice."""

    def __init__(self) -> None:
        self._size = 0
        self._sizes: dict[str, int] = {}  # by anchor
        # Of each collection that is open: its anchor and the size before it; the keys of a mapping so far, or None for
        # a list; and whether the next node is a key.
        self._open: list[tuple[str | None, int]] = []
        self._keys: list[set[str] | None] = []
        self._key_is_next: list[bool] = []

    def check(self, event: Any) -> None:
        """Check the next event of a text.

        Raises:
            yaml.MarkedYAMLError: a limit is exceeded, a key occurs twice, or an alias repeats what it is part of.
        """
        if isinstance(event, yaml.NodeEvent):
            self._begin(event)
        if isinstance(event, yaml.ScalarEvent):
            self._count(event, 1 + len(event.value))
            if event.anchor is not None:
                self._sizes[event.anchor] = 1 + len(event.value)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open.append((event.anchor, self._size))
            self._count(event, 1)
            is_mapping = isinstance(event, yaml.MappingStartEvent)
            self._keys.append(set() if is_mapping else None)
            self._key_is_next.append(is_mapping)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._keys.pop()
            self._key_is_next.pop()
            anchor, before = self._open.pop()
            if anchor is not None:
                self._sizes[anchor] = self._size - before
        elif isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in self._open):
                raise _refused(event, f"the alias *{event.anchor} is inside the value that it repeats")
            if event.anchor not in self._sizes:
                raise _refused(event, f"the alias *{event.anchor} repeats what no anchor above names")
            self._count(event, self._sizes[event.anchor])

    def _begin(self, node: Any) -> None:
        """Check the depth of a node, and whether it is a key that its mapping has already."""
        if len(self._open) >= MAX_DEPTH:
            raise _refused(node, f"values are nested more than {MAX_DEPTH} deep")
        if not self._keys or (keys := self._keys[-1]) is None:
            return
        if self._key_is_next[-1] and isinstance(node, yaml.ScalarEvent):
            if node.value in keys:
                raise _refused(node, f"the key {node.value!r:.80} occurs twice")
            keys.add(node.value)
        self._key_is_next[-1] = not self._key_is_next[-1]

    def _count(self, event: Any, size: int) -> None:
        self._size += size
        if self._size > MAX_SIZE:
            raise _refused(event, f"values and the aliases that repeat them come to more than {MAX_SIZE} characters")


class _Loader(_SafeLoader):
    """Reads the core schema of YAML 1.2: no other tags, and no text that is not of the type of its tag."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012  # PyYAML's name; drops its 1.1 rules

    def construct_core(self, node: yaml.ScalarNode) -> Any:
        """Construct a scalar whose tag, written or implied, is one of the core schema."""
        text, kind = self.construct_scalar(node), node.tag.removeprefix(_TAG)
        if kind == "str":
            if _NO_TEXT.search(text):
                raise _refused(node, f"the text {text!r:.80} has a character that no file name can hold")
            return text
        pattern = next(pattern for name, pattern, _ in _CORE if name == kind)
        if not pattern.match(text) and not (kind == "float" and _INT.match(text)):
            raise _refused(node, f"{text!r:.80} is not of the type !!{kind}")
        if kind in ("int", "float") and len(text) > _LONGEST_NUMBER:
            raise _refused(node, f"the number {text:.20}... has {len(text)} characters, more than {_LONGEST_NUMBER}")
        match kind:
            case "int":
                return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
            case "float":
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
            case "bool":
                return text.lower() == "true"
        return None


def _refused(where: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=where.start_mark)


class _Dumper(_SafeDumper):
    """Quotes text that YAML 1.1 or 1.2 would read as a number or boolean, so that both versions read the same."""


for _name, _pattern, _first in _CORE:
    _Loader.add_implicit_resolver(_TAG + _name, _pattern, _first)
for _name, _pattern in (("float", _FLOAT), ("int", _INT)):
    _Dumper.add_implicit_resolver(_TAG + _name, _pattern, list("-+.0123456789"))
_Loader.yaml_constructors = {  # drops dates, sets and bytes
    None: yaml.SafeLoader.construct_undefined,
    **{_TAG + name: yaml.SafeLoader.yaml_constructors[_TAG + name] for name in ("seq", "map")},
    **{_TAG + name: _Loader.construct_core for name in ("null", "bool", "int", "float", "str")},
}


def read_yaml(text: str) -> Any:
    """Parse ``text`` as YAML.

    Raises:
        yaml.YAMLError: the text is not YAML, a mapping has a key twice, a value is not of the core schema, or a limit
            is exceeded.
    """
    try:
        limits = _Limits()
        for event in yaml.parse(text, Loader=_Loader):
            limits.check(event)
        return yaml.load(text, Loader=_Loader)  # a SafeLoader, which creates only plain values
    except (ValueError, OverflowError) as error:  # PyYAML's own, for "\UFFFFFFFF"
        raise yaml.YAMLError(f"a value cannot be converted: {error}") from error


def problem_of(error: yaml.YAMLError) -> str:
    """What is wrong with a YAML text, in a phrase without its place."""
    return getattr(error, "problem", None) or str(error).partition("\n")[0] or "it cannot be read as YAML"


def read_mapping(path: Path, what: str, advice: str) -> dict[str, Any]:
    """Read a YAML file with a mapping at its top level.

    Args:
        path: the file.
        what: the file's name in errors ("recipe").
        advice: hint for a file without a mapping.

    Raises:
        ScasegError: the file cannot be read, is not YAML, exceeds a limit, or is not a mapping.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read(MAX_SIZE + 1)
        if len(text) > MAX_SIZE:
            raise ScasegError(f"{what} {path} has more than {MAX_SIZE} characters", f"Is this the {what}?")
        content = read_yaml(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ScasegError(f"{what} {path}{where}: {problem_of(error)}", "Fix the YAML there.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ScasegError(f"{what} {path} cannot be read: {error}", "Use UTF-8 text.") from error
    if not isinstance(content, dict):
        raise ScasegError(f"{what} {path} is not a mapping of keys to values", advice)
    return content


def write_yaml(value: Any) -> str:
    """``value`` as YAML, with keys in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
