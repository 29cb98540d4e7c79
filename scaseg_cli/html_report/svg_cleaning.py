"""Keeps of an SVG document what a chart needs, and drops the rest, whatever program wrote it.

Lists say what is allowed: shapes, text, groups, gradients, clip paths, and copies of small marks within the document.
What is left cannot run, load or embed anything. Names and values outside the lists are dropped silently, since most are
only metadata.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMESPACES = {"", "http://www.w3.org/2000/svg"}
_HREFS = {"href", "{http://www.w3.org/1999/xlink}href"}
_TEXT = {"text", "tspan"}
_GRADIENTS = {"linearGradient", "radialGradient"}
_ELEMENTS = {
    "g", "defs", "use", "clipPath", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "stop",
    *_TEXT, *_GRADIENTS,
}  # fmt: skip
_GEOMETRY = {
    "d", "points", "viewBox", "width", "height", "x", "y", "dx", "dy", "x1", "y1", "x2", "y2", "cx", "cy",
    "r", "rx", "ry", "fx", "fy", "fr", "offset", "rotate", "textLength", "lengthAdjust", "pathLength", "gradientUnits",
    "spreadMethod", "clipPathUnits",
}  # fmt: skip
_TRANSFORMING = {"transform", "gradientTransform"}
# Attributes, and properties in a style.
_PRESENTATION = {
    "fill", "fill-opacity", "fill-rule", "stroke", "stroke-width", "stroke-opacity", "stroke-linecap",
    "stroke-linejoin", "stroke-miterlimit", "stroke-dasharray", "stroke-dashoffset", "opacity", "color", "visibility",
    "display", "clip-path", "clip-rule", "stop-color", "stop-opacity", "vector-effect", "paint-order", "font",
    "font-family", "font-size", "font-style", "font-variant", "font-weight", "font-stretch", "text-anchor",
    "text-decoration", "letter-spacing", "word-spacing", "dominant-baseline", "alignment-baseline", "baseline-shift",
    "writing-mode", "white-space",
}  # fmt: skip
_REFERRING = {"fill", "stroke", "clip-path"}
# None has a colon, a slash, a backslash or an at sign: no value can hold an address or an escape of CSS.
_NUMBERS = re.compile(r"[\w\s.,%+-]*")
_TRANSFORMS = re.compile(r"(?:[\s,]*(?:matrix|translate|scale|rotate|skewX|skewY)\s*\([\d\s.,e+-]*\))*\s*")
_COLOUR = re.compile(r"\b(?:rgb|hsl)a?\([\d\s.,%+-]*\)")
_VALUE = re.compile(r"[\w\s#%.,'\"+-]*")
_NAME = re.compile(r"[\w.:-]+")
_REFERENCE = re.compile(r"url\(\s*['\"]?#([\w.:-]+)['\"]?\s*\)")
_LONGEST = 20_000_000  # characters of a document
_DEEPEST = 64  # elements inside each other
_LARGEST_MARK = 64  # elements of what a <use> copies


def parse_svg(text: str) -> ET.Element:
    """Parse an SVG document.

    Raises:
        ScasegError: the text is not SVG, is too long or too deeply nested, or declares entities.
    """
    if len(text) > _LONGEST:
        raise ScasegError(f"a picture has {len(text)} characters; the limit is {_LONGEST}")
    if "<!ENTITY" in text:  # they can expand without end
        raise ScasegError("a picture declares XML entities, which are not read")
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, ValueError) as error:  # ValueError: an encoding that is not there, or a lone surrogate
        raise ScasegError(f"a picture is not valid SVG: {error}") from error
    if _local(root.tag) != "svg":
        raise ScasegError(f"a picture is <{_local(root.tag)}>, not <svg>")
    level = [root]
    for _ in range(_DEEPEST):
        level = [child for element in level for child in element]
    if level:
        raise ScasegError(f"a picture has more than {_DEEPEST} elements inside each other")
    return root


def clean_svg(root: ET.Element, prefix: str) -> ET.Element:
    """Copy what is allowed of an SVG document, without namespaces.

    Args:
        root: its root, from `parse_svg`.
        prefix: is put before every id.
    """
    clean = ET.Element("svg")
    copier = _Copier(prefix, set(_marks(root)))
    copier.copy_attributes(root, clean)
    copier.copy_children(root, clean, in_clip=False)
    return clean


def _marks(root: ET.Element) -> Iterator[str]:
    """The ids that a <use> may name: of small elements that hold no other <use>, so that copies cannot multiply."""
    for element in root.iter():
        if (name := element.get("id")) is None:
            continue
        for place, inside in enumerate(element.iter()):
            if place == _LARGEST_MARK or _local(inside.tag) == "use":
                break
        else:
            yield name


class _Copier:
    """Copies elements of one document.

    Args:
        prefix: is put before every id.
        marks: the ids that a <use> may name.
    """

    def __init__(self, prefix: str, marks: set[str]) -> None:
        self.prefix, self.marks = prefix, marks

    def copy_children(self, element: ET.Element, clean: ET.Element, in_clip: bool) -> None:
        """Copy the allowed children of ``element`` to ``clean``; in a clip path, those that refer to nothing."""
        if clean.tag in _TEXT:
            clean.text = element.text
        for child in element:
            name = _local(child.tag)
            if name not in _ELEMENTS or (name == "use" and (in_clip or self._mark(child) is None)):
                continue
            copy = ET.SubElement(clean, name)
            copy.tail = child.tail if clean.tag in _TEXT else "\n"
            self.copy_attributes(child, copy, may_refer=not in_clip)
            self.copy_children(child, copy, in_clip or name == "clipPath")

    def copy_attributes(self, element: ET.Element, clean: ET.Element, may_refer: bool = True) -> None:
        """Copy the allowed attributes and properties of ``element`` to ``clean``."""
        for name, value in element.attrib.items():
            if name in _GEOMETRY:
                if _NUMBERS.fullmatch(value):
                    clean.set(name, value)
            elif name in _TRANSFORMING:
                if _TRANSFORMS.fullmatch(value):
                    clean.set(name, value)
            elif name in _PRESENTATION:
                if (shown := self._value(name, value, may_refer)) is not None:
                    clean.set(name, shown)
            elif name == "style":
                if style := self._style(value, may_refer):
                    clean.set(name, style)
            elif name == "id" and _NAME.fullmatch(value):
                clean.set(name, self.prefix + value)
            elif name in _HREFS and clean.tag == "use":
                clean.set("href", f"#{self.prefix}{self._mark(element)}")

    def _mark(self, element: ET.Element) -> str | None:
        """The id that a <use> copies, if it may."""
        value = next((element.attrib[name] for name in _HREFS if name in element.attrib), "")
        return value[1:] if value.startswith("#") and value[1:] in self.marks and _NAME.fullmatch(value[1:]) else None

    def _style(self, text: str, may_refer: bool) -> str:
        pairs = (declaration.partition(":") for declaration in text.split(";"))
        found = [(name.strip(), value.strip()) for name, _, value in pairs]
        values = [(name, self._value(name, value, may_refer)) for name, value in found if name in _PRESENTATION]
        return "; ".join(f"{name}: {value}" for name, value in values if value is not None)

    def _value(self, name: str, value: str, may_refer: bool) -> str | None:
        if name in _REFERRING and (reference := _REFERENCE.fullmatch(value.strip())):
            return f"url(#{self.prefix}{reference[1]})" if may_refer else None
        return value if _VALUE.fullmatch(_COLOUR.sub("", value)) else None


def _local(name: str) -> str:
    """The name of an element of SVG; empty for an element of another language."""
    namespace, _, local = name.rpartition("}")
    return local if namespace.removeprefix("{") in _NAMESPACES else ""
