"""A finished run in one file, which needs neither its data nor its run folder.

The file is safetensors: the tensors of the run's weight files below each file's path, and a header with the recipe, the
classes, the records and the model card. It is data; nothing in it runs. To use it, `unpacked` writes the files into a
temporary run folder whose records count as they are (`RunDir.sealed`), since the files that made them are elsewhere.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from scaseg_cli.base.classifier import BASE_KIND
from scaseg_cli.base.projector import KIND as PROJECTOR
from scaseg_cli.checkpoints import fingerprint_of, load_tensors, save_tensors
from scaseg_cli.embeddings.store import KIND as EMBEDDINGS
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import hash_file, of_kind, read_json, write_json, write_text
from scaseg_cli.packing.card import card_text
from scaseg_cli.recipe import recipe_of
from scaseg_cli.recipe.load import recipe_text
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import read_classes
from scaseg_cli.stages import require
from scaseg_cli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.tasks import Setting

KIND = "packed model"
_VERSION = 1
_REMEDY = "Pack the run again with `scaseg pack RUN`, or copy the file again."
_RECORD = ("key", "seed", "gpus", "processes", "nodes", "seconds", "summary", "needs", "versions", "commit")


class _File(TypedDict):
    kind: str
    meta: dict[str, Any]


class _Header(TypedDict):
    """The header of a packed model."""

    version: int
    scaseg: str
    recipe: str
    classes: dict[str, Any]
    files: dict[str, _File]
    records: dict[str, dict[str, Any]]
    fingerprint: str
    card: str
    kind: NotRequired[str]


def pack(recipe: Recipe, run: RunDir, output: Path) -> dict[str, Any]:
    """Write a finished run into one file; returns what it holds.

    Args:
        recipe: the run's recipe.
        run: the run folder.
        output: the file, which is replaced if it exists.

    Raises:
        ScasegError: a stage is missing or was made by another recipe, or the file cannot be written.
    """
    settings = _settings(recipe)
    stages = ["split", "embeddings", "base", *(["union"] if "transductive" in settings else [])]
    require(recipe, run, *stages)
    kinds = {run.embeddings_file: EMBEDDINGS, run.base_file: BASE_KIND}
    if "transductive" in settings:
        kinds[run.projector_file] = PROJECTOR
    tensors: dict[str, Any] = {}
    files: dict[str, _File] = {}
    for path, kind in kinds.items():
        name = str(path.relative_to(run.path))
        own, meta = load_tensors(path, kind, "Run `scaseg run` again.")
        tensors |= {f"{name}/{key}": tensor for key, tensor in own.items()}
        files[name] = {"kind": kind, "meta": {key: value for key, value in meta.items() if key != "kind"}}
    records = {stage: run.record(stage) or {} for stage in stages}
    header: _Header = {
        "version": _VERSION,
        "scaseg": __version__,
        "recipe": recipe_text(recipe),
        "classes": read_json(run.classes_file, "the split's file"),
        "files": files,
        "records": {stage: {key: record[key] for key in _RECORD if key in record} for stage, record in records.items()},
        "fingerprint": fingerprint_of(tensors),
        "card": card_text(recipe, run, read_classes(run)),
    }
    save_tensors(output, KIND, tensors, dict(header))
    classes = read_classes(run)
    return {
        "file": str(output),
        "bytes": output.stat().st_size,
        "version": _VERSION,
        "recipe": recipe.name,
        "settings": list(settings),
        "seen": classes.num_seen,
        "unseen": len(classes) - classes.num_seen,
    }


def _settings(recipe: Recipe) -> tuple[Setting, ...]:
    """The settings that a run of this recipe can predict in."""
    return ("inductive",) if recipe.evaluation.setting == "inductive" else ("inductive", "transductive")


@contextlib.contextmanager
def unpacked(file: Path, changes: Sequence[str] = ()) -> Iterator[tuple[Recipe, RunDir]]:
    """Yield the recipe and a run folder of a packed model; the folder is removed when the block ends.

    Args:
        file: what `pack` wrote.
        changes: assignments as for `--set`.

    Raises:
        ScasegError: the file is missing, damaged, or of another kind or version.
    """
    tensors, found = load_tensors(file, KIND, _REMEDY)
    if found.get("version") != _VERSION:
        raise ScasegError(
            f"{file} is a packed model of version {found.get('version')!r:.20}; this scaseg reads version {_VERSION}",
            "Use the scaseg that wrote it, or pack the run again.",
        )
    header: _Header = of_kind(found, _Header, f"the header of {file}", _REMEDY)
    if fingerprint_of(tensors) != header["fingerprint"]:
        raise ScasegError(f"{file} is damaged: its weights are not those that were packed", _REMEDY)
    with tempfile.TemporaryDirectory(prefix="scaseg-model-") as folder:
        run = RunDir(Path(folder), sealed=True)
        write_text(run.recipe_file, header["recipe"])
        recipe = recipe_of(run.path, changes)
        write_json(run.classes_file, header["classes"])
        for path in (run.embeddings_file, run.base_file, run.projector_file):
            name = str(path.relative_to(run.path))
            if name in header["files"]:
                own = {key.removeprefix(f"{name}/"): t for key, t in tensors.items() if key.startswith(f"{name}/")}
                path.parent.mkdir(exist_ok=True)
                save_tensors(path, header["files"][name]["kind"], own, header["files"][name]["meta"])
        for stage in ("split", "embeddings", "base", "union"):
            if stage in header["records"]:
                _write_record(run, stage, header["records"][stage])
        yield recipe, run


def _write_record(run: RunDir, stage: str, record: dict[str, Any]) -> None:
    folder = run.folder(stage)
    outputs = {
        str(path.relative_to(run.path)): {"sha256": hash_file(path), "bytes": path.stat().st_size}
        for path in sorted(folder.iterdir())
    }
    run.write_record(stage, {**record, "outputs": outputs, "outside_files": {}})
