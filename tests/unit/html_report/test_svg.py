import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from browser import CHROMIUM, open_page
from report_page import Page

from scaseg_cli.errors import ScasegError
from scaseg_cli.html_report import svg_cleaning
from scaseg_cli.html_report.svg import as_svg, chart_style, inlined, new_figure

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on the PATH")
# What acts in it would write "acted" to the console or ask for a resource of example.invalid.
HOSTILE = """<?xml version="1.0"?><?xml-stylesheet href="https://example.invalid/a.css"?><!DOCTYPE svg>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:h="http://www.w3.org/1999/xhtml"
 xmlns:ev="http://www.w3.org/2001/xml-events" width="72pt" viewBox="0 0 72 72" onload="console.error('acted')">
 <script>console.error('acted')</script><h:script>console.error('acted')</h:script>
 <script xlink:href="https://example.invalid/a.js"/>
 <style>@import "https://example.invalid/b.css"; * { background: url(https://example.invalid/c.png) }</style>
 <metadata>said</metadata><title>said</title><desc>said</desc><!-- said -->
 <foreignObject width="9" height="9"><h:iframe src="https://example.invalid/d"/><h:p>said</h:p></foreignObject>
 <h:iframe srcdoc="said"/><h:img src="https://example.invalid/e.png" onerror="console.error('acted')"/>
 <a href="javascript:console.error('acted')"><text>said</text></a><g href="https://example.invalid/f"/>
 <image href="https://example.invalid/g.png"/><image xlink:href="data:image/svg+xml;base64,AA=="/>
 <use href="https://example.invalid/h.svg#x"/><use href="data:image/svg+xml,said#x"/><use href="#gone"/>
 <animate href="#g" attributeName="href" to="https://example.invalid/i"/><set attributeName="onload" to="said"/>
 <handler ev:event="load">console.error('acted')</handler><svg onload="console.error('acted')"/><switch/><audio/>
 <filter id="f"><feImage href="https://example.invalid/j.png"/></filter><pattern id="q"/><mask id="m"/><marker id="n"/>
 <rect style="fill: url(https://example.invalid/k#a); cursor: url('https://example.invalid/l'), auto"/>
 <rect fill="URL(//example.invalid/m)" stroke="u\\72l(https://example.invalid/n)" style="stroke: u\\rl(said)"/>
 <rect style="fill:/**/url(said#x);position:fixed;behavior:url(said);-moz-binding:url(said)" filter="url(said#f)"/>
 <rect clip-path="url(said#p1)" mask="url(said#m)" marker-end="url(said#n)" transform="url(said)" class="said"/>
 <defs><clipPath id="p1"><rect/><rect clip-path="url(#p1)"/></clipPath><path id="mark" d="M 0 0 L 1 1"/></defs>
 <linearGradient id="fade"><stop offset="0.5" stop-color="rgb(1, 2, 3)"/></linearGradient>
 <g id="g" clip-path="url(#p1)" style="fill: url('#fade'); font: 9px 'DejaVu Sans', serif" onfocus="x" tabindex="0">
  <use xlink:href="#mark" onclick="console.error('acted')" x="3"/></g>
 <g id="copies"><use href="#g"/><use href="#copies"/></g>
 <text>kept &lt;b&gt;</text><text><tspan>1</tspan> and 2</text><text>a<script>said</script></text>
</svg>"""
TAGS = {"svg", "g", "defs", "clipPath", "path", "rect", "use", "linearGradient", "stop", "text", "tspan"}
ATTRIBUTES = {
    "viewBox", "role", "aria-label", "style", "id", "clip-path", "href", "x", "offset", "stop-color", "d",
}  # fmt: skip


def chart():
    with chart_style():
        figure = new_figure(3, 2)
        axes = figure.add_subplot()
        axes.plot([1, 2, 3], [1, 10, 100], marker="o")
        axes.set_yscale("log")
        return as_svg(figure)


def test_only_what_a_chart_needs_is_left():
    text = str(inlined(HOSTILE, "a-", "a label"))
    for gone in (
        "acted",
        "said",
        "http",
        "example",
        "script",
        "iframe",
        "javascript",
        "data:",
        "xmlns",
        "//",
        "\\",
        "@",
    ):
        assert gone not in text
    elements = list(ET.fromstring(text).iter())
    assert {element.tag for element in elements} == TAGS
    assert {name for element in elements for name in element.attrib} == ATTRIBUTES
    assert "kept &lt;b&gt;" in text
    assert "<text><tspan>1</tspan> and 2</text>" in text
    assert "<text>a</text>" in text
    assert 'stop-color="rgb(1, 2, 3)"' in text
    assert "font: 9px 'DejaVu Sans', serif" in text


def test_copies_cannot_multiply():
    """A <use> may copy a mark, which holds no other <use>; elements of a clip path refer to nothing."""
    root = ET.fromstring(str(inlined(HOSTILE, "a-", "a label")))
    (copy,) = root.iter("use")
    assert copy.attrib == {"href": "#a-mark", "x": "3"}
    assert [rect.attrib for rect in root.iter("clipPath").__next__()] == [{}, {}]


def test_ids_and_references_have_the_prefix():
    text = str(inlined(HOSTILE, "a-", "a label"))
    assert re.findall(r'id="([^"]+)"', text) == ["a-p1", "a-mark", "a-fade", "a-g", "a-copies"]
    assert re.findall(r"url\(([^)]+)\)", text) == ["#a-p1", "#a-fade"]
    assert 'href="#a-mark"' in text


@needs_chromium
def test_chromium_finds_nothing_to_load_or_run(tmp_path: Path):
    page = tmp_path / "page.html"
    page.write_text(
        f"<!doctype html><title>x</title><body>{inlined(HOSTILE, 'a-', 'a label')}</body>", encoding="utf-8"
    )
    opened = open_page(page, tmp_path, 800)
    assert opened.console == []
    assert (opened.broken, opened.fetched, opened.frames) == (0, 0, 0)
    acting = f"{HOSTILE}<iframe srcdoc='x'></iframe>"
    page.write_text(f"<!doctype html><title>x</title><body>{acting}</body>", encoding="utf-8")
    opened = open_page(page, tmp_path, 801)
    assert any("acted" in line for line in opened.console)
    assert opened.frames == 1


def test_a_picture_has_a_text_alternative():
    text = str(inlined(HOSTILE, "a-", 'tall & "wide"'))
    assert 'role="img"' in text
    assert 'aria-label="tall &amp; &quot;wide&quot;"' in text
    assert 'style="max-width:108px"' in text


def test_two_charts_on_one_page_share_no_id_and_are_the_same_each_time():
    assert chart() == chart()
    page = Page(f"<div>{inlined(chart(), 'a-', 'one')}{inlined(chart(), 'b-', 'two')}</div>")
    assert len(page.ids) == len(set(page.ids)) > 10
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert {"1.0", "2.0", "3.0"} <= set(page.text.split())


@pytest.mark.parametrize("text", ["", "<svg", "<html></html>", "no", '<svg xmlns="other"/>', "<svg>\ud800</svg>"])
def test_text_that_is_not_svg_is_refused(text):
    with pytest.raises(ScasegError, match="picture"):
        inlined(text, "a-", "label")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>', "declares XML entities"),
        (f"<svg>{'<g>' * 64}{'</g>' * 64}</svg>", "more than 64 elements inside each other"),
        ("<svg/>" + " " * svg_cleaning._LONGEST, "the limit is 20000000"),
    ],
)
def test_what_could_grow_without_end_is_refused(text, said):
    with pytest.raises(ScasegError, match=said):
        inlined(text, "a-", "label")


def test_drawings_of_the_package_lose_nothing_that_shows():
    """Shapes, marks, text and values of a chart are as matplotlib wrote them."""
    drawn, kept = ET.fromstring(chart()), ET.fromstring(str(inlined(chart(), "", "label")))
    for name in ("path", "use", "text", "tspan", "rect", "clipPath", "g"):
        before = list(drawn.iter(f"{{http://www.w3.org/2000/svg}}{name}"))
        after = list(kept.iter(name))
        assert len(before) == len(after)
        for one, other in zip(before, after, strict=True):
            attributes = {key.rpartition("}")[2]: value.strip() for key, value in one.attrib.items()}
            assert {key: value.strip() for key, value in other.attrib.items()} == attributes
            assert name not in ("text", "tspan") or one.text == other.text
