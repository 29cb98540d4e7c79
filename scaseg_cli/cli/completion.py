"""What the shell offers after Tab: recipes, ablations, splits, and the recipe's keys with their values.

`scaseg --install-completion` installs it. What these functions need is imported when the shell asks, so that commands
start as quickly as without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

Offer = tuple[str, str]  # a word, and what zsh and fish show beside it


def recipes(incomplete: str) -> list[Offer]:
    """The shipped recipes, and YAML files."""
    from scaseg_cli.recipe import recipe_names

    return _starting(((name, "shipped recipe") for name in recipe_names()), incomplete) + _yaml_files(incomplete)


def ablations(incomplete: str) -> list[Offer]:
    """The ablations by name, sweep files, and the words `all` and `list`."""
    from scaseg_cli.ablations.find import sweep_files

    words = [("all", "every ablation"), ("list", "names and titles"), *((name, "ablation") for name in sweep_files())]
    return _starting(words, incomplete) + _yaml_files(incomplete)


def splits(incomplete: str) -> list[Offer]:
    """The known splits into seen and unseen classes."""
    from scaseg_cli.split.unseen import KNOWN_SPLITS

    return _starting(((name, "known split") for name in KNOWN_SPLITS), incomplete)


def keys(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """The recipe's keys with their values, as `--set` takes them."""
    from scaseg_cli.errors import ScasegError
    from scaseg_cli.recipe import load_recipe
    from scaseg_cli.recipe.schema import Recipe

    try:
        recipe = load_recipe(ctx.params.get("recipe"))
    except ScasegError:  # the command says so when it runs
        recipe = load_recipe("shapes-zps")
    return _starting(_assignments("", recipe.model_dump(mode="json"), Recipe), incomplete)


def _assignments(before: str, values: dict[str, Any], section: Any) -> Iterator[Offer]:
    """`key=value` and the key's description, of all keys of a section and of the sections in it."""
    import json

    for name, value in values.items():
        field, inner = section.model_fields.get(name) if section is not None else None, None
        if field is not None:
            inner = next((part for part in _parts(field.annotation) if hasattr(part, "model_fields")), None)
        if isinstance(value, dict):
            yield from _assignments(f"{before}{name}.", value, inner)
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield f"{before}{name}={text}", (field.description if field is not None else None) or ""


def _parts(annotation: Any) -> Iterator[Any]:
    """A type, or the types in a union."""
    inner = getattr(annotation, "__args__", None)
    yield from (part for one in inner for part in _parts(one)) if inner else (annotation,)


def _yaml_files(incomplete: str) -> list[Offer]:
    """The YAML files, and folders to look for them in, whose path begins with ``incomplete``."""
    folder, _, start = incomplete.rpartition("/")
    place = Path(f"{folder}/") if incomplete.startswith("/") else Path(folder)
    if not place.is_dir():
        return []
    found = sorted(path for path in place.iterdir() if path.name.startswith(start) and not path.name.startswith("."))
    words = [(f"{path}/", "folder") for path in found if path.is_dir()] if start else []
    return words + [(str(path), "file") for path in found if path.suffix in (".yaml", ".yml") and path.is_file()]


def _starting(words: Iterable[Offer], incomplete: str) -> list[Offer]:
    return [(word, shown) for word, shown in words if word.startswith(incomplete)]
