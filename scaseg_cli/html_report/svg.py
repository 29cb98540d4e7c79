"""SVG pictures inside an HTML page: unique ids, no scripts, no external resources, and a text alternative."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from scaseg_cli.html_report.svg_cleaning import clean_svg, parse_svg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

_SETTINGS: Any = {
    "svg.hashsalt": "scaseg",
    "svg.fonttype": "none",  # text stays text, in the page's own font
    "font.family": "sans-serif",
    "font.sans-serif": ["Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "path.simplify_threshold": 0.3,
}


@contextmanager
def chart_style() -> Iterator[None]:
    """Apply one style to the charts drawn in the block; the same figures give the same bytes."""
    import matplotlib

    with matplotlib.rc_context(_SETTINGS):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Create an empty figure; ``width`` and ``height`` are in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def as_svg(figure: Figure) -> str:
    """Return the figure as an SVG document, which `inlined` turns into an element of a page."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    return file.getvalue()


def inlined(text: str, prefix: str, label: str) -> Markup:
    """Turn an SVG document into an element of an HTML page, with what `svg_cleaning` allows of it.

    Args:
        text: the document.
        prefix: prefix of its ids, unique among the pictures of the page.
        label: text alternative of the picture.

    Raises:
        ScasegError: the text is not SVG, or `parse_svg` refuses it.
    """
    root = clean_svg(parse_svg(text), prefix)
    width = root.attrib.pop("width", "")
    root.attrib.pop("height", None)
    root.set("role", "img")
    root.set("aria-label", label)
    if match := re.fullmatch(r"(\d{1,5}(?:\.\d+)?)(pt)?", width):
        root.set("style", f"max-width:{float(match[1]) * 1.5:.0f}px")
    return Markup(ET.tostring(root, encoding="unicode"))
