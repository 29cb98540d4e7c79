"""docs/method.md names every recipe key with its default and its origin, and no key that does not exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from scaseg_cli.recipe.schema import Recipe

PAGE = (Path(__file__).parents[3] / "docs" / "method.md").read_text(encoding="utf-8")
ORIGINS = {"published", "Mask2Former", "reading", "ours"}


def _section_of(field: FieldInfo) -> type[BaseModel] | None:
    kinds = get_args(field.annotation) or (field.annotation,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Dotted names of what a recipe may set; a section by itself only where it may be null."""
    for name, field in model.model_fields.items():
        section = _section_of(field)
        if section is None or field.default is None:
            yield prefix + name, field
        if section is not None:
            yield from _keys(section, f"{prefix}{name}.")


def _shown(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = list(field.default) if isinstance(field.default, tuple) else field.default
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _rows() -> dict[str, list[str]]:
    table = PAGE[PAGE.index("\n## Every recipe key") :]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:3] == "| `"]
    return {cells[0].strip("`"): cells[1:] for cells in lines}


KEYS = dict(_keys(Recipe))


def test_the_schema_is_walked_to_its_leaves():
    assert {"seed", "data.shapes.num_train", "data.selection.labels", "union.unseen_pull.beta"} <= set(KEYS)
    assert "union.unseen_pull" not in KEYS


@pytest.mark.parametrize("key", KEYS)
def test_each_key_is_in_the_table_with_its_default(key):
    assert key in _rows(), f"docs/method.md, Every recipe key: add `{key}`"
    default, origin, _ = _rows()[key]
    assert default == _shown(KEYS[key])
    assert origin in ORIGINS


def test_the_table_names_no_other_key():
    assert set(_rows()) == set(KEYS)


def test_links_within_the_page_lead_somewhere():
    headings = re.findall(r"^#+ (.+)$", PAGE, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    assert links
    assert links <= anchors
