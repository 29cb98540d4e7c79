"""From a recipe's name or file, with `extends:` and `--set`, to a checked `Recipe`."""

from __future__ import annotations

import difflib
import os
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import write_text
from scaseg_cli.recipe.mistakes import mistakes, not_finite
from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.recipe.yaml_text import read_mapping, read_yaml, write_yaml

DEFAULT = "shapes-zps"
LOCAL = Path("scaseg.yaml")


def shipped_folder(name: str = "recipes") -> Path:
    """A folder of YAML files that comes with the package: package data, or the folder ``name`` of a checkout."""
    packaged = Path(str(resources.files("scaseg_cli"))) / name
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / name


def recipe_names() -> list[str]:
    """Names of the shipped recipes."""
    return sorted(path.stem for path in shipped_folder().glob("*.yaml"))


def shipped_file(name: str) -> Path:
    """The file of the shipped recipe ``name``."""
    return shipped_folder() / f"{name}.yaml"


def _find(name: str, child: Path | None = None) -> Path:
    """The file that a recipe's name or path means; that of an `extends:` lies beside the ``child`` or is shipped."""
    if child is None:
        candidates = [Path(name)]
    else:  # a recipe may bear the name of the shipped one that it extends
        candidates = [path for path in (child.parent / name, child.parent / f"{name}.yaml") if path != child]
    candidates.append(shipped_file(name))
    for path in candidates:
        if os.path.isfile(path):  # False, where Path's own would raise, for a name too long or a closed folder
            return path
    near = difflib.get_close_matches(name, recipe_names(), n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    whose = f"{child} extends {name!r}, but there" if child is not None else "there"
    raise ScasegError(
        f"{whose} is no recipe {name!r}: neither a file nor a shipped recipe",
        f"{hint}`scaseg recipe list` shows the shipped ones.",
    )


def _merged(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    """``upper`` over ``lower``, section by section; lists and plain values are replaced whole."""
    result = dict(lower)
    for key, value in upper.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if both else value
    return result


def _resolve(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    path = path.resolve()
    if path in seen:
        chain = " -> ".join(p.name for p in (*seen, path))
        raise ScasegError(f"recipes extend each other in a circle: {chain}", "Take one `extends:` out.")
    content = read_mapping(path, "recipe", "Begin with `extends: shapes-zps`.")
    parent = content.pop("extends", None)
    if parent is None:
        return content
    if not isinstance(parent, str):
        raise ScasegError(f"recipe {path}: extends is {parent!r}", "It must be one recipe's name or file.")
    return _merged(_resolve(_find(parent, path), (*seen, path)), content)


def _apply(content: dict[str, Any], assignment: str) -> None:
    """Carry out one `--set a.b=value` on ``content``."""
    dotted, equals, text = assignment.partition("=")
    keys = [key.strip() for key in dotted.split(".")]
    if not equals or not all(keys):
        raise ScasegError(f"--set {assignment!r} is not of the form key=value", "For example --set base.v2c.gamma=3")
    try:
        value = read_yaml(text)
    except yaml.YAMLError as error:
        raise ScasegError(f"--set {assignment!r}: the value is not valid YAML", "Quote it.") from error
    for key in keys[:-1]:
        deeper = content.get(key)
        content[key] = dict(deeper) if isinstance(deeper, dict) else {}
        content = content[key]
    content[keys[-1]] = value


def check_recipe(content: dict[str, Any], origin: str) -> Recipe:
    """A recipe from plain values.

    Raises:
        ScasegError: with every mistake at once, each by its dotted name.
    """
    found = [f"{dotted}: is not a finite number" for dotted in not_finite(content)]
    if not found:
        try:
            # YAML has no tuples, so lists are let through; all else is strict.
            return Recipe.model_validate_json(_as_json(content, origin))
        except ValidationError as error:
            found = mistakes(error)
    count = f"{len(found)} mistake{'s' if len(found) > 1 else ''}"
    raise ScasegError(
        f"{origin} has {count}:\n" + "\n".join(f"  {line}" for line in found),
        "`scaseg recipe show` prints every key with its value.",
    )


def _as_json(content: dict[str, Any], origin: str) -> bytes:
    import orjson

    try:
        return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        raise ScasegError(
            f"{origin} holds what JSON has no place for: {error}", "Numbers take up to 64 bits."
        ) from error


def load_recipe(name: str | None = None, assignments: tuple[str, ...] = ()) -> Recipe:
    """Find, resolve and check a recipe.

    Args:
        name: a shipped recipe's name or a YAML file; None: ``scaseg.yaml`` in this folder, else shapes-zps.
        assignments: ``key.key=value`` changes, carried out after `extends:`.

    Raises:
        ScasegError: not found, not YAML, or with mistakes; all mistakes are reported at once.
    """
    if name is None:
        name = str(LOCAL) if LOCAL.is_file() else DEFAULT
    path = _find(name)
    try:
        content = _resolve(path)
        for assignment in assignments:
            _apply(content, assignment)
        return check_recipe(content, f"recipe {path}")
    except RecursionError:
        raise ScasegError(f"recipe {path} is nested without an end", "Look for a YAML alias inside itself.") from None


def recipe_text(recipe: Recipe) -> str:
    """The resolved recipe as YAML; it runs again as it is."""
    return write_yaml(recipe.model_dump(mode="json"))


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write the resolved recipe."""
    write_text(path, recipe_text(recipe))
