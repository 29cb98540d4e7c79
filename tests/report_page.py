"""Reads a report's HTML as a strict reader does: what is nested wrongly, fetched, or named twice is an error."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link", "input", "hr"}
FETCHING = {"script", "link", "iframe", "object", "embed", "audio", "video", "source", "base", "form"}


@dataclass
class Shown:
    """A table of the page: its name, and of each row the cells' texts and the full numbers in them."""

    name: str
    rows: list[list[str]] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)


class Page(HTMLParser):
    """A page, read.

    Attributes:
        tables: in order; the region that a table scrolls in bears its name.
        ids: of all elements.
        links: what `href` and `src` hold.
        tags: of all elements.
        numbers: of each <data> its value and its text.
        text: all text.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables: list[Shown] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.numbers: list[tuple[float, str]] = []
        self.text = ""
        self._region = ""
        self._value: float | None = None
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self._take(tag, dict(attrs))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._take(tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            assert "url(" not in data
            assert "@import" not in data
            return
        self.text += data
        if self._value is not None and self.open[-1] == "data":
            self.numbers.append((self._value, data))
            self._value = None
        if "tbody" in self.open and self.open[-1] in ("td", "th", "data", "span"):
            self.tables[-1].rows[-1][-1] += data.strip("\n")

    def _take(self, tag: str, attributes: dict[str, str | None]) -> None:
        self.tags.add(tag)
        assert not any(name.startswith("on") for name in attributes)
        self.ids += [attributes["id"] or ""] if "id" in attributes else []
        self.links += [attributes[name] or "" for name in ("href", "src") if name in attributes]
        self._region = attributes.get("aria-label") or self._region if tag == "div" else self._region
        if tag == "table":
            self.tables.append(Shown(self._region))
        elif tag == "tr" and "tbody" in self.open:
            self.tables[-1].rows.append([])
            self.tables[-1].values.append([])
        elif tag in ("td", "th") and "tbody" in self.open:
            self.tables[-1].rows[-1].append("")
        elif tag == "data":
            value = float(attributes["value"] or "")
            self._value = value
            if "tbody" in self.open:
                self.tables[-1].values[-1].append(value)

    def table(self, name: str) -> Shown:
        """The one table of this name."""
        (found,) = (table for table in self.tables if table.name == name)
        return found


def check_page(html: str) -> Page:
    """Read a page; it must be well-formed, fetch nothing, and name nothing twice."""
    page = Page(html)
    assert not page.tags & FETCHING
    words = re.sub(r"data:image/[^\"]*", "", html).replace("http-equiv", "")  # base64 may spell anything
    assert "http" not in words
    anchors = [link for link in page.links if not link.startswith("data:image/")]
    assert all(link.startswith("#") for link in anchors), anchors
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in anchors} <= set(page.ids)
    return page
