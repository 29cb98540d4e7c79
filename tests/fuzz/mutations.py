"""Strategies that change valid content in a few places, as an editor, another program or a bad disk would."""

from __future__ import annotations

import copy
import json
import re
import struct
import zlib
from typing import Any

from hypothesis import strategies as st

# Text between these marks stands in JSON or YAML as it is, such as a number that Python cannot write.
_OPEN, _CLOSE = "\ue000", "\ue001"


def raw(text: str) -> str:
    return f"{_OPEN}{text}{_CLOSE}"


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 255, 256, 65536, 2**24, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63),
    10**30, 0.5, -0.0, 1e-320, 1e308, raw("1e999"), raw("-1e999"), raw("NaN"), raw("9" * 5000), raw("1.0"), raw("007"),
    "", " ", "a", "1", "true", "\x00", "a\x00b", "\x1b[31m", "\x9b2J", "\u202e", "é", "e\u0301", "a\nb", "a" * 300,
    "b" * 5000, ".", "..", "/", "../..", "nowhere/file", "/proc/self", "~", "c/" * 3000,
    [], {}, [[]], [None], [0, 0], [1, "a", None], {"a": 1}, {"": {}}, {"id": [1]}, _nested(40), _nested(120),
)  # fmt: skip
ODD_TEXT = [
    "", " ", "\n", "\t", "\x00", "\ufeff", "é", "\ud7ff", "'", '"', "\\", "{", "}", "[", "]", ",", ":", "- ", "#",
    "&a ", "*a", "<<: ", "!!int abc", "!!python/name:print ", "!!timestamp 2001-01-01", "!!binary x", "!!set {a}",
    "!x ", "? ", "| ", "> ", "%YAML 9", "---", "...", "1e999", "-", ".inf", ".nan", "0x", "0o9", "9" * 200, "~", "null",
    "true", "[" * 200, "{a: " * 200, "extends: x\n", "a: 1\n",
]  # fmt: skip
ODD_BYTES = [
    b"",
    b"\x00",
    b"\xff",
    b"\x00" * 9,
    b"\xff" * 8,
    b"\x80\x02.",
    b"PK\x03\x04",
    b"{",
    b"}",
    b"9" * 30,
    b"\xed\xa0\x80",
]


@st.composite
def mutated(draw: Any, value: Any, most: int = 3) -> Any:
    """``value``, of dicts, lists and scalars, changed in 1 to ``most`` places."""
    holder = [copy.deepcopy(value)]
    for _ in range(draw(st.integers(1, most))):
        _mutate(draw, holder)
    return holder[0]


def _mutate(draw: Any, holder: list[Any]) -> None:
    node: Any = holder
    key: Any = 0
    while isinstance(child := node[key], dict | list) and child and draw(st.integers(0, 5)):
        node, key = child, draw(st.sampled_from(list(child) if isinstance(child, dict) else range(len(child))))
    what = draw(st.sampled_from(["replace", "replace", "delete", "repeat", "rename", "wrap", "graft", "near"]))
    old = node[key]
    if what == "delete" and node is not holder:
        del node[key]
    elif what == "repeat" and node is not holder:
        if isinstance(node, list):
            node.insert(key, copy.deepcopy(old))
        else:
            node[draw(_keys)] = copy.deepcopy(old)
    elif what == "rename" and isinstance(node, dict):
        node[draw(_keys)] = node.pop(key)
    elif what == "wrap":
        node[key] = draw(st.sampled_from([[old], {"a": old}, [old, old], str(old)[:1000]]))
    elif what == "graft":
        node[key] = copy.deepcopy(draw(st.sampled_from(list(_parts(holder[0])))))
    elif what == "near":
        node[key] = draw(_near(old))
    else:
        node[key] = copy.deepcopy(draw(st.sampled_from(ODD)))  # the next change must not reach the list of odd values


_keys = st.sampled_from([odd for odd in ODD if isinstance(odd, str)] + ["id", "name", "images", "key", "extends"])


def _parts(value: Any, limit: int = 200) -> list[Any]:
    """``value`` and what is in it."""
    found = [value]
    for part in found:
        if len(found) > limit:
            break
        found += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return found[:limit]


def _near(value: Any) -> st.SearchStrategy[Any]:
    if isinstance(value, bool) or value is None:
        return st.sampled_from([not value, str(value), int(bool(value))])
    if isinstance(value, int | float):
        return st.sampled_from([value + 1, value - 1, -value, value * 1000, float(value), str(value), value + 0.5])
    if isinstance(value, str):
        return st.sampled_from(
            [value + "\x00", value + "x", value[:-1], value.upper(), f" {value}", value[:200] * 50, [value]]
        )
    return st.just(copy.deepcopy(value))


def as_json(value: Any) -> str:
    """JSON in which `raw` texts stand as they are."""
    return _unmarked(json.dumps(value).replace("\\ue000", _OPEN).replace("\\ue001", _CLOSE))


def _unmarked(text: str) -> str:
    text = re.sub(f"['\"]?{_OPEN}(.*?){_CLOSE}['\"]?", lambda found: found[1], text, flags=re.DOTALL)
    return text.replace(_OPEN, "").replace(_CLOSE, "")


def as_yaml(value: Any) -> str:
    """The same for YAML, which for these values is JSON with fewer marks."""
    import yaml

    text: str = yaml.safe_dump(value, allow_unicode=True, width=10**6, sort_keys=False)
    return _unmarked(text.replace("\\uE000", _OPEN).replace("\\uE001", _CLOSE))


@st.composite
def mutated_text(draw: Any, text: str, most: int = 3) -> str:
    """``text`` with pieces taken out, repeated, cut off or put in."""
    for _ in range(draw(st.integers(1, most))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 60)))
        match draw(st.sampled_from(["insert", "insert", "delete", "repeat", "cut"])):
            case "insert":
                text = text[:start] + draw(st.sampled_from(ODD_TEXT)) + text[end if draw(st.booleans()) else start :]
            case "delete":
                text = text[:start] + text[end:]
            case "repeat":
                text = text[:end] + text[start:]
            case _:
                text = text[:start]
    return text


@st.composite
def mutated_bytes(draw: Any, content: bytes, most: int = 4) -> bytes:
    """``content`` with bits flipped, and pieces taken out, repeated, cut off or put in."""
    for _ in range(draw(st.integers(1, most))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(len(content), start + 40)))
        match draw(st.sampled_from(["flip", "flip", "insert", "delete", "repeat", "cut"])):
            case "flip" if start < len(content):
                flipped = bytes([content[start] ^ 1 << draw(st.integers(0, 7))])
                content = content[:start] + flipped + content[start + 1 :]
            case "insert":
                content = content[:start] + draw(st.sampled_from(ODD_BYTES)) + content[start:]
            case "delete":
                content = content[:start] + content[end:]
            case "repeat":
                content = content[:end] + content[start:]
            case _:
                content = content[:start]
    return content


# None makes a decoder reserve much memory.
_SIDES = [0, 1, 2, 6, 7, 8, 9, 300, 65_535, 2**31 - 1, 2**31, 2**32 - 1]
_EXTRA = [
    b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"tRNS", b"PLTE", b"bKGD", b"eXIf", b"acTL", b"xxxx",
    b"\x00\xff\x00\xff",
]  # fmt: skip


@st.composite
def mutated_png(draw: Any, content: bytes) -> bytes:
    """A PNG whose chunks are changed; most checksums are right, so that a reader gets beyond them."""
    chunks = _chunks(content)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(chunks) - 1)) if chunks else 0
        what = draw(st.sampled_from(["header", "header", "pixels", "data", "drop", "repeat", "swap", "extra", "sum"]))
        if not chunks or what == "extra":
            extra = draw(st.sampled_from(_EXTRA)), draw(st.sampled_from([*ODD_BYTES, b"\x00" * 768, b"a\x00\x00x"])), 0
            chunks.insert(place, extra)
            continue
        kind, data, wrong = chunks[place]
        if what == "header" and chunks[0][0] == b"IHDR" and len(chunks[0][1]) == 13:
            chunks[0] = b"IHDR", _header(draw, chunks[0][1]), 0
        elif what == "pixels" and kind == b"IDAT":
            chunks[place] = kind, _pixels(draw, data), wrong
        elif what == "drop":
            del chunks[place]
        elif what == "repeat":
            chunks.insert(place, chunks[place])
        elif what == "swap":
            other = draw(st.integers(0, len(chunks) - 1))
            chunks[place], chunks[other] = chunks[other], chunks[place]
        elif what == "sum":
            chunks[place] = kind, data, 1
        else:
            chunks[place] = kind, draw(mutated_bytes(data)), wrong
    return content[:8] + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ wrong)
        for kind, data, wrong in chunks
    )


def _chunks(content: bytes) -> list[tuple[bytes, bytes, int]]:
    """The chunks of a valid PNG: kind, data, and what is to be wrong in the checksum."""
    found, place = [], 8
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        found.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length], 0))
        place += 12 + length
    return found


def _header(draw: Any, data: bytes) -> bytes:
    fields = list(struct.unpack(">IIBBBBB", data))
    place = draw(st.integers(0, 6))
    fields[place] = draw(st.sampled_from(_SIDES) if place < 2 else st.sampled_from([0, 1, 2, 3, 4, 5, 6, 8, 16, 255]))
    return struct.pack(">IIBBBBB", *fields)


def _pixels(draw: Any, data: bytes) -> bytes:
    """Another stream of pixels, packed as a PNG has it."""
    try:
        pixels = zlib.decompress(data)
    except zlib.error:
        return data
    return zlib.compress(draw(mutated_bytes(pixels)))
