"""Finding and reading sweep files: shipped ones, those in the local folder sweeps/, and any file by its path."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

import orjson
from pydantic import ValidationError

from scaseg_cli.ablations.sweep import Sweep
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe.load import shipped_folder
from scaseg_cli.recipe.mistakes import in_all, mistakes, not_finite
from scaseg_cli.recipe.yaml_text import read_mapping

LOCAL = Path("sweeps")
# Words of the command, and folders beside those of the ablations.
RESERVED = ("all", "list", "jobs", "logs", "stages")
# Published tables in their order, then sweeps that the paper lacks; the user's own come last.
_ORDER = (
    "bank-size", "null-embedding", "bank-temperature", "pseudo-seen", "pseudo-unseen", "increment", "gamma",
    "enhancement", "enhancement-literal", "components", "generator", "peers", "cat-losses", "unseen-pull", "clip-view",
    "templates", "live-vs-cache",
)  # fmt: skip


def sweep_files() -> dict[str, Path]:
    """Return all sweep files by name; a file in the folder sweeps/ replaces a shipped one of the same name."""
    files = {path.stem: path for folder in (shipped_folder("sweeps"), LOCAL) for path in sorted(folder.glob("*.yaml"))}
    known = {name: place for place, name in enumerate(_ORDER)}
    return dict(sorted(files.items(), key=lambda item: (known.get(item[0], len(known)), item[0])))


def find_sweep(name: str) -> tuple[str, Sweep]:
    """Find and read the sweep of a name or a file path; returns its name and the sweep.

    Raises:
        ScasegError: there is none, or it has mistakes; all of them are reported at once.
    """
    files = sweep_files()
    path = files.get(name, Path(name))
    if not os.path.isfile(path):  # Path.is_file would raise for an overlong name or an unreadable folder
        near = difflib.get_close_matches(name, files, n=3)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise ScasegError(
            f"there is no ablation {name!r}: it is neither a file, nor in {LOCAL}/, nor shipped",
            f"{hint}Run `scaseg ablate list` to see all.",
        )
    return path.stem, read_sweep(path)


def read_sweep(path: Path) -> Sweep:
    """Read a sweep from its file.

    Raises:
        ScasegError: it cannot be read, or has mistakes; all of them are reported at once.
    """
    content = read_mapping(path, "sweep", "It needs title, varies and values; docs/ablations.md shows one.")
    found = [f"{dotted}: is not a finite number" for dotted in not_finite(content)]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", path.stem) or path.stem in RESERVED:
        found.append(f"{path.stem!r} is not a valid name for an ablation")
    if not found:
        try:
            return Sweep.model_validate_json(orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS))
        except ValidationError as error:
            found = mistakes(error, Sweep)
        except TypeError as error:
            found = [str(error)]
    raise ScasegError(in_all(f"sweep {path}", found), "See docs/ablations.md for the keys of a sweep file.")
