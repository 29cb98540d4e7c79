import re

import pytest
from report_page import Page

from scaseg_cli.errors import ScasegError
from scaseg_cli.html_report.svg import as_svg, chart_style, inlined, new_figure

HOSTILE = """<?xml version="1.0"?><!DOCTYPE svg>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="72pt" viewBox="0 0 72 72"
 onload="alert(1)">
 <script>alert(2)</script><style>* { color: red }</style><metadata>http://example.org</metadata>
 <!-- said -->
 <a href="http://example.org"><text>away</text></a>
 <image href="http://example.org/a.png"/><image xlink:href="data:image/png;base64,AA=="/>
 <defs><clipPath id="p1"><rect/></clipPath></defs>
 <g id="g" clip-path="url(#p1)" style="fill: url(#p1)"><use xlink:href="#g" onclick="alert(3)"/></g>
 <text>kept &lt;b&gt;</text><text><tspan>1</tspan></text>
</svg>"""


def chart():
    with chart_style():
        figure = new_figure(3, 2)
        axes = figure.add_subplot()
        axes.plot([1, 2, 3], [1, 10, 100], marker="o")
        axes.set_yscale("log")
        return as_svg(figure)


def test_scripts_and_external_references_are_dropped():
    text = str(inlined(HOSTILE, "a-", "a label"))
    for gone in ("alert", "http", "script", "style>", "onload", "onclick", "away", "said", "xmlns"):
        assert gone not in text
    assert "kept &lt;b&gt;" in text
    assert "<tspan>1</tspan>" in text
    assert text.count("data:image/png") == 1


def test_ids_and_references_have_the_prefix():
    text = str(inlined(HOSTILE, "a-", "a label"))
    assert re.findall(r'id="([^"]+)"', text) == ["a-p1", "a-g"]
    assert text.count("url(#a-p1)") == 2
    assert 'href="#a-g"' in text
    assert "#p1" not in text


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


@pytest.mark.parametrize("text", ["", "<svg", "<html></html>", "no"])
def test_text_that_is_not_svg_is_refused(text):
    with pytest.raises(ScasegError, match="picture"):
        inlined(text, "a-", "label")
