"""From a recipe's name or file, with `extends:` and `--set`, to a checked `Recipe`."""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import write_text
from scaseg_cli.recipe.schema import Recipe

DEFAULT = "shapes-zps"
LOCAL = Path("scaseg.yaml")


def _shipped() -> Path:
    """The folder of shipped recipes: package data, or `recipes/` of a checkout."""
    packaged = Path(str(resources.files("scaseg_cli"))) / "recipes"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "recipes"


def recipe_names() -> list[str]:
    """Names of the shipped recipes."""
    return sorted(path.stem for path in _shipped().glob("*.yaml"))


def _find(name: str, beside: Path | None) -> Path:
    """The file that a recipe's name or path means; relative to ``beside`` first for `extends:`."""
    candidates = [Path(name)] if beside is None else [beside / name, beside / f"{name}.yaml"]
    candidates.append(_shipped() / f"{name}.yaml")
    for path in candidates:
        if path.is_file():
            return path
    near = difflib.get_close_matches(name, recipe_names(), n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise ScasegError(
        f"there is no recipe {name!r}: neither a file nor a shipped recipe",
        f"{hint}`scaseg recipe list` shows the shipped ones.",
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be read as YAML"
        raise ScasegError(f"recipe {path}{where}: {problem}", "Mend the YAML there.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ScasegError(f"recipe {path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ScasegError(f"recipe {path} is not a mapping of keys to values", "Begin with `extends: shapes-zps`.")
    return content


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
    content = _read(path)
    parent = content.pop("extends", None)
    if parent is None:
        return content
    if not isinstance(parent, str):
        raise ScasegError(f"recipe {path}: extends is {parent!r}", "It must be one recipe's name or file.")
    return _merged(_resolve(_find(parent, path.parent), (*seen, path)), content)


def _apply(content: dict[str, Any], assignment: str) -> None:
    """Carry out one `--set a.b=value` on ``content``."""
    dotted, equals, text = assignment.partition("=")
    keys = [key.strip() for key in dotted.split(".")]
    if not equals or not all(keys):
        raise ScasegError(f"--set {assignment!r} is not of the form key=value", "For example --set base.v2c.gamma=3")
    try:
        value = yaml.safe_load(text)
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
    content = _floats_for_exponents(content)
    try:
        # YAML has no tuples, so lists are let through; all else is strict.
        return Recipe.model_validate_json(_as_json(content))
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"])
            message = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "extra_forbidden":
                message = "unknown key" + _nearest_key(problem["loc"])
            elif problem["type"] != "missing":
                message = f"{message} (it is {problem['input']!r})"
            lines.append(f"  {name}: {message}" if name else f"  {message}")
        count = f"{len(lines)} mistake{'s' if len(lines) > 1 else ''}"
        raise ScasegError(
            f"{origin} has {count}:\n" + "\n".join(lines), "`scaseg recipe show` prints every key with its value."
        ) from error


def _as_json(content: dict[str, Any]) -> bytes:
    import orjson

    try:
        return orjson.dumps(content)
    except TypeError as error:
        raise ScasegError(f"the recipe holds a value that is not text, number, list or mapping: {error}") from error


def _floats_for_exponents(value: Any) -> Any:
    """YAML 1.1 reads 1e-4 as text; a recipe means the number."""
    if isinstance(value, dict):
        return {str(key): _floats_for_exponents(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_floats_for_exponents(item) for item in value]
    if isinstance(value, str) and value[:1].isdigit() and "e" in value.lower():
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _nearest_key(location: tuple[str | int, ...]) -> str:
    model: Any = Recipe
    for part in location[:-1]:
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        if field is None:
            return ""
        model = field.annotation
    if not hasattr(model, "model_fields"):
        return ""
    near = difflib.get_close_matches(str(location[-1]), list(model.model_fields), n=1)
    return f", did you mean {near[0]!r}?" if near else ""


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
    path = _find(name, None)
    content = _resolve(path)
    for assignment in assignments:
        _apply(content, assignment)
    return check_recipe(content, f"recipe {path}")


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write the resolved recipe; it runs again as it is."""
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
    write_text(path, text)
