"""Why a stage is not up to date, in words: which key of the recipe, list, file or earlier stage has changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaseg_cli.errors import ScasegError
from scaseg_cli.stages.graph import needs_of
from scaseg_cli.stages.keys import (
    hash_once,
    is_as_written,
    key_with,
    lists_of,
    outside_names,
    sections_of,
    stage_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

UNKNOWN = "made by another recipe"
_NAMED = 3  # changes that a reason names
_LONGEST = 60  # characters of a value
_ABSENT = object()
_LISTS = {
    "classes": "the classes",
    "train": "the training images or their labels",
    "selection": "the selection images or their labels",
    "validation": "the validation images or their labels",
}


def why_other(
    recipe: Recipe, stage: str, record: Mapping[str, Any], lists: Mapping[str, str] | None, then: dict[str, Any] | None
) -> str:
    """Say how a finished result differs from the one that ``recipe`` gives.

    Args:
        recipe: the recipe.
        stage: the stage.
        record: the record of the finished result, whose key is another one.
        lists: digests of the split's lists that the recipe's result reads; None: the split has to run first.
        then: the recipe's values of the finished result, by section; None: not known.
    """
    found = changes(then, sections_of(recipe, stage)) if then is not None else []
    found += _changed_files(recipe, stage, record)
    if lists is not None:
        found += [f"{what} have changed" for what in _changed_lists(record, lists)]
    needs, made_from = needs_of(recipe, stage), record["needs"]
    read = [need for need in needs if need != "split" or lists is None]  # the split's lists count, not its files
    # A stage that never ran has no key: data of one's own needs no stage.
    found += [f"{need} is another" for need in read if made_from.get(need) not in (None, key_with(recipe, need, lists))]
    return in_brief(found) if found else UNKNOWN


def in_brief(found: list[str]) -> str:
    """Join what has changed; more than three are counted."""
    rest = len(found) - _NAMED
    return "; ".join(found[:_NAMED]) + (f"; and {rest} more" if rest > 0 else "")


def why_broken(run: RunDir, record: Mapping[str, Any]) -> str:
    """Say which file of a finished result in the run folder is missing or changed."""
    for name, output in record["outputs"].items():
        path = run.path / name
        if not path.is_file():
            return f"{name} is gone"
        if not is_as_written(path, output):
            return f"{name} is truncated or changed"
    return "its files have changed"


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Each key of the recipe's sections whose value has changed, with both values, such as `seed was 0, is 1`."""
    return [_in_words(*difference) for difference in _differences("", then, now)]


def other_values(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Each key of the sections ``then`` whose value is another one now, with its value, such as `seed = 1`."""
    found = []
    for dotted, value, _ in _differences("", then, now):
        text = _text(value) if value is not _ABSENT else None
        found.append(f"{dotted} = {text}" if text is not None else dotted)
    return found


def _differences(dotted: str, then: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    if not (isinstance(then, dict) and isinstance(now, dict)):
        if then != now:
            yield dotted, then, now
        return
    for key in dict.fromkeys((*now, *then)):
        whole = f"{dotted}.{key}" if dotted else key
        yield from _differences(whole, then.get(key, _ABSENT), now.get(key, _ABSENT))


def _in_words(dotted: str, then: Any, now: Any) -> str:
    if then is _ABSENT:
        return f"{dotted} is new"
    if now is _ABSENT:
        return f"{dotted} is gone"
    texts = _text(then), _text(now)
    return f"{dotted} was {texts[0]}, is {texts[1]}" if None not in texts else f"{dotted} has changed"


def _text(value: Any) -> str | None:
    """A value as one short line; None: it is too long for one."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text and text.isprintable() and len(text) <= _LONGEST else None


def _changed_lists(record: Mapping[str, Any], lists: Mapping[str, str]) -> list[str]:
    then = record.get("lists", {})
    return [_LISTS.get(name, name) for name, digest in then.items() if lists.get(name) != digest]


def _changed_files(recipe: Recipe, stage: str, record: Mapping[str, Any]) -> list[str]:
    """The outside files of a result that the recipe still names, and that are no longer what the result was made of."""
    named, found = outside_names(recipe, stage), []
    for name, sha256 in record["outside_files"].items():
        path = Path(name)
        if path in named and not path.is_file():
            found.append(f"{path} is gone")
        elif path in named and hash_once(path) != sha256:
            found.append(f"{path} has changed")
    return found


def what_changed(recipe: Recipe, run: RunDir, stage: str) -> str | None:
    """Describe a list or an external file that ``stage``, or a stage before it, read and that has changed since.

    None: the recipe has changed.
    """
    lists, record = lists_of(recipe, run), run.record(stage)
    for earlier in needs_of(recipe, stage):
        if earlier == "split" and lists is not None:
            continue  # its lists count, not its files
        changed = what_changed(recipe, run, earlier)
        if changed is not None:
            return changed
    if record is None:
        return None
    if stage != "split" and lists is not None and (found := _changed_lists(record, lists)):
        return f"{found[0]} have changed since"
    files = _changed_files(recipe, stage, record)
    if files:
        return files[0] if files[0].endswith("is gone") else f"{files[0]} since"
    return None


def sections_then(run: RunDir, stage: str, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """The recipe's values that made a result; an older record lacks them, and the run folder's recipe may have them."""
    from scaseg_cli.recipe import recipe_of

    if "recipe" in record:
        return dict(record["recipe"])
    try:
        older = recipe_of(run.path)
    except ScasegError:
        return None
    return sections_of(older, stage) if stage_key(older, run, stage) == record["key"] else None
