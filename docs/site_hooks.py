"""MkDocs hooks: pages that are in the repository's root join the site, and links between them and docs/ follow.

README.md becomes the first page, index.md. Nothing is copied into the working tree.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# Where a file of the root is in the site.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "LICENSE": "LICENSE.md",
}
LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[)#])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the root's pages, and the files outside docs/ that pages link to."""
    texts = {target: (ROOT / source).read_text(encoding="utf-8") for source, target in PAGES.items()}
    texts["LICENSE.md"] = f"# License\n\n```text\n{texts['LICENSE.md']}```\n"
    for target, text in texts.items():
        files.append(File.generated(config, target, content=text))
    own = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))]
    linked = {_in_root(link) for text in [*texts.values(), *own] for link in LINK.findall(text)}
    known = {*PAGES, *(file.src_uri for file in files)}
    for name in sorted(linked - known):
        if (ROOT / name).is_file() and not name.startswith("docs/"):
            files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Rewrites links between the root and docs/ to where their targets are in the site."""
    return LINK.sub(lambda match: _in_site(match[1]), markdown)


def _in_root(link: str) -> str:
    """A link of a page in docs/, or in the root, as a path from the root (docs/ has no folders of pages)."""
    return link.removeprefix("../")


def _in_site(link: str) -> str:
    """The same link as a path from the site's first page, next to which all pages are."""
    name = _in_root(link).removeprefix("docs/")
    return PAGES.get(name, name)
