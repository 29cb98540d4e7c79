"""A page in headless Chromium, without a network: what the console said, and how wide the page came out."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
# A window has a least width of its own, above a phone's; a frame has not.
_FRAME = """<!doctype html><meta charset="utf-8"><title>frame</title>
<iframe src="{name}" style="width: {width}px; height: 900px; border: 0"></iframe>
<script>addEventListener("message", (event) => {{ document.documentElement.dataset.found = event.data; }});</script>"""
_MEASURE = """<script>
addEventListener("load", () => {
  const fetched = performance.getEntriesByType("resource").filter((one) => !one.name.startsWith("data:"));
  const broken = [...document.images].filter((image) => !image.complete || !image.naturalWidth);
  const width = Math.max(document.documentElement.scrollWidth, document.body.scrollWidth);
  parent.postMessage([innerWidth, width, broken.length, fetched.length, frames.length].join(" "), "*");
});
</script>"""


@dataclass(frozen=True)
class Opened:
    """A page that was opened.

    Attributes:
        console: lines of the console, failed loads among them.
        width: of the window.
        page_width: of what the page takes, overflow included.
        broken: images that are not there.
        fetched: resources that were asked for, data: URIs not among them.
        frames: pages within it.
    """

    console: list[str]
    width: int
    page_width: int
    broken: int
    fetched: int
    frames: int


def open_page(page: Path, folder: Path, width: int) -> Opened:
    """Open a copy of ``page`` that measures itself, in a frame of so many pixels; ``folder`` takes what is written."""
    measured, frame = folder / f"measured-{width}.html", folder / f"frame-{width}.html"
    measured.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{_MEASURE}</body>"), encoding="utf-8")
    frame.write_text(_FRAME.format(name=measured.name, width=width), encoding="utf-8")
    said, dom = _run(frame, folder / f"profile-{width}", max(width, 800), "--dump-dom", "--virtual-time-budget=3000")
    (found,) = re.findall(r'data-found="([^"]*)"', dom)
    return Opened(said, *map(int, found.split()))


def take_screenshot(page: Path, folder: Path, width: int, height: int) -> Path:
    """A picture of the page's upper part."""
    path = folder / f"{page.stem}-{width}.png"
    _run(page, folder / f"profile-shot-{width}", width, f"--screenshot={path}", height=height)
    return path


def _run(page: Path, profile: Path, width: int, *actions: str, height: int = 900) -> tuple[list[str], str]:
    assert CHROMIUM is not None
    where = (f"--user-data-dir={profile}", f"--window-size={width},{height}", *actions, page.resolve().as_uri())
    done = subprocess.run([CHROMIUM, *_OPTIONS, *where], capture_output=True, text=True, timeout=120, check=True)
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line], done.stdout
