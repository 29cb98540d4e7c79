"""Stage keys, and whether the results in a run folder are up to date.

A stage's key is a hash of the recipe sections that it depends on, of the external files that it reads, and of the keys
of the stages that it needs. In place of the split's key, later stages have the digests of the lists that they read: the
split writes one for the classes and one for each list of images with their labels. So a file that the split reads may
change without making a stage stale that has nothing to do with the change.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import hash_file, hash_value
from scaseg_cli.packages import existing, is_packaged
from scaseg_cli.stages.graph import ADDED, NO_EFFECT, STAGES, lists_read, needs_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


def _section(recipe: Recipe, stage: str, dotted: str) -> Any:
    value: Any = recipe
    for part in dotted.split("."):
        value = getattr(value, part)
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
        without, added = NO_EFFECT.get((stage, dotted), ()), ADDED.get((stage, dotted), {})
        value = {
            key: item for key, item in value.items() if key not in without and not (key in added and item == added[key])
        }
    return value


@lru_cache(maxsize=256)
def _file_key(path: str, modified: int, size: int) -> str:
    del modified, size  # arguments only so that a changed file misses the cache
    return hash_file(Path(path))


def hash_once(path: Path) -> str:
    """The hash of a file, recomputed only when the file has changed."""
    status = path.stat()
    return _file_key(str(path), status.st_mtime_ns, status.st_size)


def outside_names(recipe: Recipe, stage: str) -> list[Path]:
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
    elif stage in ("base", "folds"):
        weights = recipe.base.backbone.checkpoint
        packaged = existing(weights, "*.pth") if weights is not None and is_packaged(weights) else None
        named += [*_clip_files(recipe), str(packaged) if packaged is not None else weights, recipe.base.init]
    return [Path(name) for name in named if name is not None]


def _clip_files(recipe: Recipe) -> list[str | None]:
    """CLIP's checkpoint, or the files of its folder."""
    if not recipe.clip.model.startswith("local-dir:"):
        return [recipe.clip.checkpoint]
    folder = Path(recipe.clip.model.removeprefix("local-dir:")).expanduser()
    kinds = (".json", ".safetensors", ".bin", ".model", ".txt")
    return [recipe.clip.checkpoint, *sorted(str(path) for path in folder.glob("*") if path.suffix in kinds)]


def _encoder_files(recipe: Recipe) -> list[str | None]:
    """The files of what turns class names into vectors."""
    embeddings = recipe.embeddings
    if embeddings.vectors is not None:
        return [embeddings.vectors]
    if embeddings.encoder == "clip":
        return [*_clip_files(recipe), embeddings.templates]
    reference = embeddings.encoder.removeprefix("sentence:")
    modules = existing(reference, "modules.json") if is_packaged(reference) else Path(reference, "modules.json")
    if modules is None:
        return [embeddings.templates]
    folder = sorted(path for path in modules.parent.rglob("*") if path.suffix in (".json", ".safetensors", ".bin"))
    return [embeddings.templates, *map(str, folder)]


def outside_files(recipe: Recipe, stage: str) -> list[Path]:
    """The existing files outside the run folder that a stage reads."""
    return [path for path in outside_names(recipe, stage) if path.is_file()]


def sections_of(recipe: Recipe, stage: str) -> dict[str, Any]:
    """The recipe's values that change the result of ``stage``, by the dotted key of their section."""
    return {dotted: _section(recipe, stage, dotted) for dotted in STAGES[stage].sections}


def recipe_key(recipe: Recipe, stage: str) -> str:
    """The hash of the recipe's part in a stage's result and in all stages before it, without any file.

    It tells recipes apart before anything has run. Whether a result is up to date needs `stage_key`.
    """
    needs = [recipe_key(recipe, need) for need in needs_of(recipe, stage)]
    return hash_value({"stage": stage, "recipe": sections_of(recipe, stage), "needs": needs})


def stage_key(recipe: Recipe, run: RunDir, stage: str) -> str:
    """The hash of everything that a stage's result depends on.

    Args:
        recipe: the recipe.
        run: the run folder, whose split the stage reads. Without a split of this recipe, the key has the split's own
            key, and no later stage is up to date.
        stage: the stage.

    The key of a stage in a sealed folder is that of its record.
    """
    if run.sealed:
        return str((run.record(stage) or {}).get("key"))
    lists = lists_of(recipe, run) if stage not in ("data", "split") else None
    return key_with(recipe, stage, lists)


def key_with(recipe: Recipe, stage: str, lists: Mapping[str, str] | None) -> str:
    """`stage_key` for a split that wrote ``lists``, which are digests by name; None: no split of this recipe."""
    read = lists_read(recipe, stage)
    earlier = [key_with(recipe, need, lists) for need in needs_of(recipe, stage) if need != "split" or lists is None]
    own = {name: lists.get(name) for name in read} if lists is not None else {}
    return _key(recipe, stage, [hash_once(path) for path in outside_files(recipe, stage)], earlier, own)


def _key(recipe: Recipe, stage: str, files: Iterable[str], needs: list[str], lists: Mapping[str, str | None]) -> str:
    sections = sections_of(recipe, stage)
    return hash_value({"stage": stage, "recipe": sections, "files": sorted(files), "needs": needs, "lists": lists})


def lists_of(recipe: Recipe, run: RunDir) -> dict[str, str] | None:
    """The digests of the split's lists, by name; None if ``run`` has no split of this recipe.

    The files that the split read may have changed since.
    """
    try:
        return lists_in(recipe, run.record("split"))
    except ScasegError:  # the check of the split itself says so
        return None


def lists_in(recipe: Recipe, record: Mapping[str, Any] | None) -> dict[str, str] | None:
    """The digests of the lists in the record of a split; None if it is not a split of this recipe."""
    if record is None or "lists" not in record:
        return None
    then = _key(recipe, "split", record["outside_files"].values(), [key_with(recipe, "data", None)], {})
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
    return all(is_as_written(run.path / name, output) for name, output in record["outputs"].items())


def is_as_written(path: Path, output: dict[str, Any]) -> bool:
    """Whether a file has the size and hash of its stage's record."""
    if not path.is_file():
        return False
    return bool(path.stat().st_size == output["bytes"] and hash_once(path) == output["sha256"])
