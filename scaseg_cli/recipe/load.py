"""Loading a recipe by name or file, with `extends:` and `--set`, as a checked `Recipe`."""

from __future__ import annotations

import difflib
import os
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import write_text
from scaseg_cli.recipe.mistakes import in_all, mistakes, not_finite
from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.recipe.yaml_text import MAX_DEPTH, problem_of, read_mapping, read_yaml, write_yaml
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT = "shapes-zps"
LOCAL = Path("scaseg.yaml")
_LONGEST_CHAIN = 20  # recipes that extend each other


def shipped_folder(name: str = "recipes") -> Path:
    """A folder of shipped YAML files: the package data, or the folder ``name`` of a checkout."""
    packaged = Path(str(resources.files("scaseg_cli"))) / name
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / name


def recipe_names() -> list[str]:
    """The names of the shipped recipes."""
    return sorted(path.stem for path in shipped_folder().glob("*.yaml"))


def shipped_file(name: str) -> Path:
    """The file of the shipped recipe ``name``."""
    return shipped_folder() / f"{name}.yaml"


def _find(name: str, child: Path | None = None) -> Path:
    """Find a recipe by name or path; a recipe in an `extends:` is beside the ``child`` or shipped."""
    if child is None:
        candidates = [Path(name)]
    else:  # a recipe may have the name of the shipped one that it extends
        candidates = [path for path in (child.parent / name, child.parent / f"{name}.yaml") if path != child]
    candidates.append(shipped_file(name))
    for path in candidates:
        if os.path.isfile(path):  # Path.is_file raises for a name too long or a folder without permission
            return path
    near = difflib.get_close_matches(name, recipe_names(), n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    if child is None and os.path.isfile(own := RunDir(Path(name)).recipe_file):
        hint = f"It is a run folder: its recipe is {own}. "
    whose = f"{child} extends {name!r}, but there" if child is not None else "there"
    raise ScasegError(
        f"{whose} is no recipe {name!r}: neither a file nor a shipped recipe",
        f"{hint}Run `scaseg recipe list` to see the shipped recipes.",
    )


def _merged(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    """Merge ``upper`` over ``lower``, section by section; lists and scalars are replaced."""
    result = dict(lower)
    for key, value in upper.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if both else value
    return result


def _resolve(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    path = path.resolve()
    if len(seen) == _LONGEST_CHAIN:
        raise ScasegError(
            f"recipe {seen[0]} extends recipes that extend others, more than {_LONGEST_CHAIN} in a row",
            "Extend fewer; `scaseg recipe show FILE` shows the result of an `extends:`.",
        )
    if path in seen:
        chain = " -> ".join(p.name for p in (*seen, path))
        raise ScasegError(f"recipes extend each other in a circle: {chain}", "Remove one `extends:`.")
    content = read_mapping(path, "recipe", "Begin with `extends: shapes-zps`.")
    parent = content.pop("extends", None)
    if parent is None:
        return content
    if not isinstance(parent, str):
        raise ScasegError(f"recipe {path}: extends is {parent!r:.80}", "Set it to the name or file of one recipe.")
    return _merged(_resolve(_find(parent, path), (*seen, path)), content)


def _apply(content: dict[str, Any], assignment: str) -> None:
    """Apply one `--set a.b=value` to ``content``."""
    dotted, equals, text = assignment.partition("=")
    keys = [key.strip() for key in dotted.split(".")]
    if not equals or not all(keys) or len(keys) > MAX_DEPTH:
        raise ScasegError(
            f"--set {assignment!r:.200} is not of the form key=value", "For example --set base.v2c.gamma=3"
        )
    try:
        value = read_yaml(text)
    except yaml.YAMLError as error:
        raise ScasegError(
            f"--set {assignment!r:.200}: the value is not valid YAML: {problem_of(error)}", "Quote the value."
        ) from error
    for key in keys[:-1]:
        deeper = content.get(key)
        content[key] = dict(deeper) if isinstance(deeper, dict) else {}
        content = content[key]
    content[keys[-1]] = value


def check_recipe(content: dict[str, Any], origin: str) -> Recipe:
    """Validate plain values and return them as a recipe.

    Raises:
        ScasegError: with all mistakes, each by its dotted key.
    """
    found = [f"{dotted}: is not a finite number" for dotted in not_finite(content)]
    if not found:
        try:
            # Validated as JSON, which accepts lists as tuples; everything else is strict.
            return Recipe.model_validate_json(_as_json(content, origin))
        except ValidationError as error:
            found = mistakes(error)
    raise ScasegError(in_all(origin, found), "Run `scaseg recipe show` to see every key with its value.")


def _as_json(content: dict[str, Any], origin: str) -> bytes:
    import orjson

    try:
        return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        raise ScasegError(
            f"{origin} has a value that JSON cannot represent: {error}",
            "Use numbers of at most 64 bits, and keys of Unicode text.",
        ) from error


def default_name() -> str:
    """The recipe of commands that name none: ``scaseg.yaml`` in this folder, else shapes-zps."""
    return str(LOCAL) if LOCAL.is_file() else DEFAULT


def load_recipe(name: str | None = None, assignments: tuple[str, ...] = ()) -> Recipe:
    """Find, resolve and validate a recipe.

    Args:
        name: a shipped recipe's name or a YAML file; None: ``scaseg.yaml`` in this folder, else shapes-zps.
        assignments: ``key.key=value`` changes, applied after `extends:`.

    Raises:
        ScasegError: the recipe is not found, not YAML, or invalid; all mistakes are reported at once.
    """
    path = _find(name if name is not None else default_name())
    content = _resolve(path)
    for assignment in assignments:
        _apply(content, assignment)
    return check_recipe(content, f"recipe {path}")


def recipe_text(recipe: Recipe) -> str:
    """The resolved recipe as YAML, itself a valid recipe."""
    return write_yaml(recipe.model_dump(mode="json"))


def recipe_of(folder: Path, changes: Sequence[str] = ()) -> Recipe:
    """Read the recipe of a run folder and apply ``changes``, which are assignments as for `--set`.

    Raises:
        ScasegError: the folder is not a run folder, or its recipe has mistakes.
    """
    path = RunDir(folder).recipe_file
    if not path.is_file():
        why = "has no recipe.yaml" if folder.is_dir() else "does not exist"
        raise ScasegError(
            f"{folder} is not a run folder: it {why}", "Name a folder that `scaseg run` wrote, such as runs/shapes-zps."
        )
    return load_recipe(str(path), tuple(changes))


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write the resolved recipe to ``path``, with one node: whoever reads it need not be on several machines."""
    write_text(path, recipe_text(recipe.model_copy(update={"nodes": 1})))
