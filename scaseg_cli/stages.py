"""The stages, what each depends on, and whether the results in a run folder are up to date.

A stage's key is a hash of the recipe sections that it depends on, of the external files that it reads, and of the keys
of the stages that it needs. In place of the split's key, later stages have the digests of the lists that they read: the
split writes one for the classes and one for each list of images with their labels. So a file that the split reads may
change without making a stage stale that has nothing to do with the change.
"""

from __future__ import annotations

import platform
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import hash_file, hash_value, write_bytes
from scaseg_cli.packages import existing, is_packaged
from scaseg_cli.recipe import save_recipe
from scaseg_cli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


@dataclass(frozen=True)
class Stage:
    """One stage of the method.

    Attributes:
        name: the stage, its recipe section, its package and its folder in the run folder.
        command: the command that runs it.
        needs: stages whose results it reads.
        sections: the recipe's dotted keys that change its result.
        lists: the split's lists that it reads: ``classes``, ``train``, ``selection`` or ``validation``.
    """

    name: str
    command: str
    needs: tuple[str, ...]
    sections: tuple[str, ...]
    lists: tuple[str, ...] = ()


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("data", "split-dataset", (), ("data.shapes",)),
        Stage("split", "split-dataset", ("data",), ("task", "data", "split")),
        Stage("embeddings", "embed-classes", ("split",), ("data.names", "clip", "embeddings"), ("classes",)),
        Stage(
            "base",
            "train-base",
            ("split", "embeddings"),
            ("seed", "task", "data.exif", "clip", "base"),
            ("classes", "train"),
        ),
        Stage("queries", "train-cat", ("base",), ("seed", "queries"), ("train",)),
        Stage("cat", "train-cat", ("queries", "embeddings"), ("seed", "cat")),
        Stage("union", "union-finetune", ("cat",), ("seed", "union", "evaluation"), ("selection",)),
        Stage("evaluation", "evaluate", ("union",), ("evaluation",), ("validation",)),
    )
}
# (stage, section): keys that change how the stage runs but not its result.
_NO_EFFECT: dict[tuple[str, str], tuple[str, ...]] = {
    ("base", "base"): ("workers", "checkpoint_every", "log_every", "validate_every", "validate_images"),
    ("cat", "cat"): ("checkpoint_every",),
    ("union", "union"): ("checkpoint_every",),
    ("union", "evaluation"): ("batch_size", "setting", "inductive_increment"),
    ("evaluation", "evaluation"): ("batch_size",),
}


def needs_of(recipe: Recipe, stage: str) -> tuple[str, ...]:
    """The stages whose results ``stage`` reads; evaluation in the inductive setting does not need stages 2 and 3."""
    if stage == "evaluation" and recipe.evaluation.setting == "inductive":
        return ("base",)
    return STAGES[stage].needs


def stages_for(recipe: Recipe) -> list[str]:
    """The stages that this recipe's evaluation needs, in order."""
    wanted = {"evaluation"}
    for stage in reversed(STAGES):
        if stage in wanted:
            wanted.update(needs_of(recipe, stage))
    return [stage for stage in STAGES if stage in wanted]


def _section(recipe: Recipe, stage: str, dotted: str) -> Any:
    value: Any = recipe
    for part in dotted.split("."):
        value = getattr(value, part)
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
        value = {key: item for key, item in value.items() if key not in _NO_EFFECT.get((stage, dotted), ())}
    return value


@lru_cache(maxsize=256)
def _file_key(path: str, modified: int, size: int) -> str:
    del modified, size  # arguments only so that a changed file misses the cache
    return hash_file(Path(path))


def _hash_once(path: Path) -> str:
    """The hash of a file, recomputed only when the file has changed."""
    status = path.stat()
    return _file_key(str(path), status.st_mtime_ns, status.st_size)


def _outside_names(recipe: Recipe, stage: str) -> list[Path]:
    """The recipe's values that may name external files of a stage; some are names of built-in choices instead."""
    named: list[str | None] = []
    if stage == "split":
        named += [recipe.split.unseen if isinstance(recipe.split.unseen, str) else None]
        if recipe.data.root is not None:
            sets = (recipe.data.train, recipe.data.selection, recipe.data.validation)
            files = [recipe.data.categories, recipe.data.colours]
            files += [name for part in sets if part is not None for name in (part.annotations, part.list)]
            named += [str(Path(recipe.data.root) / name) for name in files if name is not None]
    elif stage == "embeddings":
        named += _encoder_files(recipe)
    elif stage == "base":
        weights = recipe.base.backbone.checkpoint
        packaged = existing(weights, "*.pth") if weights is not None and is_packaged(weights) else None
        named += [recipe.clip.checkpoint, str(packaged) if packaged is not None else weights]
    return [Path(name) for name in named if name is not None]


def _encoder_files(recipe: Recipe) -> list[str | None]:
    """The files of what turns class names into vectors."""
    embeddings = recipe.embeddings
    if embeddings.vectors is not None:
        return [embeddings.vectors]
    if embeddings.encoder == "clip":
        return [recipe.clip.checkpoint, embeddings.templates]
    reference = embeddings.encoder.removeprefix("sentence:")
    modules = existing(reference, "modules.json") if is_packaged(reference) else Path(reference, "modules.json")
    if modules is None:
        return [embeddings.templates]
    folder = sorted(path for path in modules.parent.rglob("*") if path.suffix in (".json", ".safetensors", ".bin"))
    return [embeddings.templates, *map(str, folder)]


def _outside_files(recipe: Recipe, stage: str) -> list[Path]:
    """The existing files outside the run folder that a stage reads."""
    return [path for path in _outside_names(recipe, stage) if path.is_file()]


def _sections(recipe: Recipe, stage: str) -> dict[str, Any]:
    return {dotted: _section(recipe, stage, dotted) for dotted in STAGES[stage].sections}


def recipe_key(recipe: Recipe, stage: str) -> str:
    """The hash of the recipe's part in a stage's result and in all stages before it, without any file.

    It tells recipes apart before anything has run. Whether a result is up to date needs `stage_key`.
    """
    needs = [recipe_key(recipe, need) for need in needs_of(recipe, stage)]
    return hash_value({"stage": stage, "recipe": _sections(recipe, stage), "needs": needs})


def stage_key(recipe: Recipe, run: RunDir, stage: str) -> str:
    """The hash of everything that a stage's result depends on.

    Args:
        recipe: the recipe.
        run: the run folder, whose split the stage reads. Without a split of this recipe, the key has the split's own
            key, and no later stage is up to date.
        stage: the stage.
    """
    needs = needs_of(recipe, stage)
    lists = lists_of(recipe, run) if STAGES[stage].lists else None
    earlier = [stage_key(recipe, run, need) for need in needs if need != "split" or lists is None]
    own = {name: lists.get(name) for name in STAGES[stage].lists} if lists is not None else {}
    return _key(recipe, stage, [_hash_once(path) for path in _outside_files(recipe, stage)], earlier, own)


def _key(recipe: Recipe, stage: str, files: Iterable[str], needs: list[str], lists: Mapping[str, str | None]) -> str:
    sections = _sections(recipe, stage)
    return hash_value({"stage": stage, "recipe": sections, "files": sorted(files), "needs": needs, "lists": lists})


def lists_of(recipe: Recipe, run: RunDir) -> dict[str, str] | None:
    """The digests of the split's lists, by name; None if ``run`` has no split of this recipe.

    The files that the split read may have changed since.
    """
    try:
        record = run.record("split")
    except ScasegError:  # the check of the split itself says so
        return None
    if record is None or "lists" not in record:
        return None
    then = _key(recipe, "split", record["outside_files"].values(), [stage_key(recipe, run, "data")], {})
    return dict(record["lists"]) if record["key"] == then else None


def has_lists_of(record: Mapping[str, Any], split: Mapping[str, Any]) -> bool:
    """Whether the split with the record ``split`` has the lists that the stage with ``record`` was made from."""
    return "lists" in record and record["lists"].items() <= split.get("lists", {}).items()


def is_done(recipe: Recipe, run: RunDir, stage: str, split: RunDir | None = None) -> bool:
    """Whether ``stage`` has finished for this recipe and its output files are unchanged.

    Args:
        recipe: the recipe.
        run: the run folder.
        stage: the stage.
        split: the run folder of the split that the result is to fit; None: ``run``.
    """
    record = run.record(stage)
    if record is None or record.get("key") != stage_key(recipe, split or run, stage):
        return False
    return all(_is_as_written(run.path / name, output) for name, output in record["outputs"].items())


def _is_as_written(path: Path, output: dict[str, Any]) -> bool:
    """Whether a file has the size and hash of its stage's record."""
    if not path.is_file():
        return False
    return bool(path.stat().st_size == output["bytes"] and _hash_once(path) == output["sha256"])


def require(recipe: Recipe, run: RunDir, *stages: str) -> None:
    """Check that ``stages`` have finished for this recipe.

    Raises:
        ScasegError: one has not run, was made by another recipe, or its files are missing or changed; names the
            command to run.
    """
    for stage in stages:
        command = f"Run `scaseg {STAGES[stage].command}` with this recipe first (`scaseg run` runs all in order)."
        record = run.record(stage)
        if record is None:
            raise ScasegError(f"{run.path} has no finished {stage} stage", command)
        if record.get("key") != stage_key(recipe, run, stage):
            changed = what_changed(recipe, run, stage)
            if changed is not None:
                raise ScasegError(f"{run.path / stage} is out of date: {changed}", command)
            raise ScasegError(
                f"{run.path / stage} was made by another recipe",
                f"{command} Or choose another folder with --work-dir.",
            )
        for name, output in record["outputs"].items():
            path = run.path / name
            if not path.is_file():
                raise ScasegError(f"{path} is gone", command)
            if not _is_as_written(path, output):
                raise ScasegError(f"{path} is not what the {stage} stage wrote: truncated or changed", command)


_LISTS = {
    "classes": "the classes",
    "train": "the training images or their labels",
    "selection": "the selection images or their labels",
    "validation": "the validation images or their labels",
}


def what_changed(recipe: Recipe, run: RunDir, stage: str) -> str | None:
    """Describe a list or an external file that ``stage``, or a stage before it, read and that has changed since.

    None: the recipe has changed.
    """
    lists, record = lists_of(recipe, run), run.record(stage) or {}
    for earlier in needs_of(recipe, stage):
        if earlier == "split" and lists is not None:
            continue  # its lists count, not its files
        changed = what_changed(recipe, run, earlier)
        if changed is not None:
            return changed
    if stage != "split" and lists is not None:
        for name, digest in record.get("lists", {}).items():
            if lists.get(name) != digest:
                return f"{_LISTS.get(name, name)} have changed since"
    named = _outside_names(recipe, stage)
    for name, sha256 in record.get("outside_files", {}).items():
        path = Path(name)
        if path not in named:
            continue
        if not path.is_file():
            return f"{path} is gone"
        if hash_file(path) != sha256:
            return f"{path} has changed since"
    return None


def versions() -> dict[str, str]:
    """Versions of Python, scaseg and the libraries that results depend on."""
    names = ("torch", "torchvision", "mmdet", "mmengine", "open_clip_torch", "numpy")
    found = {"scaseg": __version__, "python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=1)
def commit() -> str | None:
    """The commit of the checkout, or None if the package is installed without one."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _is_whole(run: RunDir, record: dict[str, Any]) -> bool:
    """Whether ``record`` lists output files and all of them are unchanged."""
    outputs = record["outputs"]
    return bool(outputs) and all(_is_as_written(run.path / name, output) for name, output in outputs.items())


class StageSummary(dict[str, Any]):
    """The values that a stage keeps in its record.

    Attributes:
        waited: seconds between the stage's start and end that were spent on other runs.
        lists: of the split: the digests of the lists that it wrote, by name.
    """

    waited: float = 0.0
    lists: dict[str, str] | None = None


@contextmanager
def recording(recipe: Recipe, run: RunDir, stage: str, *outputs: Path) -> Iterator[StageSummary]:
    """Run a stage; when the block succeeds, write its record with the hashes of ``outputs``.

    Yields a dict that the record keeps as the stage's summary. An older record is removed while the block runs, so
    that an interrupted stage never counts as finished; its files stay, for resuming. If the stage fails before it has
    replaced any file of the older result, the older record and recipe are restored.
    """
    run.folder(stage)
    key = stage_key(recipe, run, stage)
    lists = lists_of(recipe, run) if STAGES[stage].lists else None
    old = run.record(stage)
    old_recipe = run.recipe_file.read_bytes() if run.recipe_file.is_file() else None
    save_recipe(recipe, run.recipe_file)
    if old is not None:
        run.record_file(stage).unlink()
    summary = StageSummary()
    started = time.monotonic()
    try:
        yield summary
    except BaseException:
        if old is not None and _is_whole(run, old):
            with suppress(ScasegError):  # if it cannot be written, the stage's own error says why
                if old_recipe is not None:
                    write_bytes(run.recipe_file, old_recipe)
                run.write_record(stage, old)
        raise
    if lists is not None:
        summary.lists = {name: lists[name] for name in STAGES[stage].lists if name in lists}
    run.write_record(
        stage,
        {
            "stage": stage,
            "key": key,
            "seed": recipe.seed,
            "gpus": recipe.gpus,
            "processes": recipe.processes,
            "nodes": recipe.nodes,
            "seconds": round(time.monotonic() - started - summary.waited, 2),
            "summary": summary,
            "needs": {need: (run.record(need) or {}).get("key") for need in needs_of(recipe, stage)},
            **({"lists": summary.lists} if summary.lists is not None else {}),
            "outputs": {
                str(path.relative_to(run.path)): {"sha256": hash_file(path), "bytes": path.stat().st_size}
                for path in outputs
            },
            "outside_files": {str(path): _hash_once(path) for path in _outside_files(recipe, stage)},
            "versions": versions(),
            "commit": commit(),
        },
    )
