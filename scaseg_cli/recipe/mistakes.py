"""Readable messages for all mistakes in a recipe or another validated file, each by its dotted key."""

from __future__ import annotations

import difflib
import math
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from scaseg_cli.recipe.schema import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST = 60  # characters shown of a wrong value
_LISTED = 20  # mistakes that are worded and shown; further ones are counted


def in_all(origin: str, found: list[str]) -> str:
    """The message about the file ``origin`` that counts the mistakes ``found`` and lists the first of them."""
    lines = [f"{origin} has {len(found)} mistake{'s' if len(found) > 1 else ''}:", *(f"  {line}" for line in found)]
    if len(found) > _LISTED:
        lines[_LISTED + 1 :] = [f"  and {len(found) - _LISTED} more"]
    return "\n".join(lines)


def mistakes(error: ValidationError, whole: type[BaseModel] = Recipe) -> list[str]:
    """One line for each wrong key, in the order of ``whole``, the model that was validated.

    The lines after those that `in_all` shows have the key alone, since looking for similar keys takes time.
    """
    lines: dict[str, list[str]] = {}
    inputs: dict[str, str] = {}
    for problem in error.errors():
        model, names = _walk(problem["loc"], whole)
        dotted = _cut(".".join(names))
        if lines.setdefault(dotted, []) == [] and len(lines) > _LISTED:
            continue
        match problem["type"]:
            case "extra_forbidden":
                text = "unknown key" + _nearest(names[-1], model)
            case "missing":
                text = "is missing"
            case "value_error":
                text = problem["msg"].removeprefix("Value error, ")
            case _:
                text = problem["msg"].replace("Input should be", "should be")
                text = text.replace("a valid array", "a list").replace("an object", "a mapping of keys to values")
                inputs[dotted] = f" (it is {_short(problem['input'])})"
        lines[dotted].append(text)
    return [
        f"{dotted}: {', or '.join(texts)}{inputs.get(dotted, '')}" if dotted else "; ".join(texts)
        for dotted, texts in lines.items()
    ]


def not_finite(value: Any, dotted: str = "") -> Iterator[str]:
    """The dotted keys of infinities and NaNs in ``value``, which JSON cannot represent."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from not_finite(item, f"{dotted}.{key}" if dotted else str(key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from not_finite(item, f"{dotted}.{place}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield dotted


def _walk(location: tuple[str | int, ...], whole: type[BaseModel]) -> tuple[type[BaseModel] | None, list[str]]:
    """The section with the key at ``location``, and the key's names without pydantic's labels of union members."""
    model: type[BaseModel] | None = whole
    names: list[str] = []
    for place, part in enumerate(location):
        last = place == len(location) - 1
        if isinstance(part, int) or (model is not None and (last or part in model.model_fields)):
            names.append(str(part))
        if not last and not isinstance(part, int):  # an index of a list keeps the section of the list's items
            field = model.model_fields.get(str(part)) if model is not None else None
            model = _section_of(field.annotation) if field is not None else None
    return model, names


def _section_of(annotation: Any) -> type[BaseModel] | None:
    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    members = tuple(
        part for member in members for part in (get_args(member) if get_origin(member) is list else (member,))
    )
    return next((part for part in members if isinstance(part, type) and issubclass(part, BaseModel)), None)


def _nearest(name: str, model: type[BaseModel] | None) -> str:
    near = difflib.get_close_matches(name, list(model.model_fields), n=1) if model is not None else []
    return f", did you mean {near[0]!r}?" if near else ""


def _short(value: Any) -> str:
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
