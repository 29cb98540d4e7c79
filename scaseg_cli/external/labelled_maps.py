"""Finds the label maps that semantic predictions are scored against, without their images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from scaseg_cli.data.class_lists import COCO_STUFF, SHIPPED_LISTS, coco_stuff_raw_values, read_class_list
from scaseg_cli.data.folders import files_below
from scaseg_cli.data.map_colours import read_colours
from scaseg_cli.data.map_pairs import TRAIN_IDS, listed
from scaseg_cli.data.records import ImageRecord, LabelledSet
from scaseg_cli.errors import ScasegError
from scaseg_cli.external.predicted_maps import MAP_SUFFIXES, key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN = 5


@dataclass(frozen=True)
class MapLabels:
    """What a user says about label maps; the recipe's section `data` has the same.

    Attributes:
        folder: the folder of label maps, which is searched with its subfolders.
        categories: the classes: a shipped list such as ``coco-stuff``, or a JSON file.
        ignored: values that are no class, besides 255 and 65535; a class with such a value is left out.
        colours: a table of colours, for maps painted in colours.
        suffix: the end of the label maps' names, which the predictions' lack; other files are left out.
        list: a file of image names, one per line; other label maps are left out.
    """

    folder: Path
    categories: str
    ignored: tuple[int, ...] = ()
    colours: Path | None = None
    suffix: str | None = None
    list: Path | None = None


def labelled_maps(labels: MapLabels) -> LabelledSet:
    """Find label maps without their images.

    Without a suffix, if any is named NAME_labelTrainIds.png, all other files are left out, as MMSegmentation's
    converters write their maps beside the original ones.

    Raises:
        ScasegError: the folder, the list of classes, the table of colours or the list of images is missing or wrong.
    """
    if not labels.folder.is_dir():
        raise ScasegError(f"the folder of labels {labels.folder} does not exist", "Name it with --labels FOLDER.")
    try:
        categories = read_class_list(Path(), labels.categories)
    except ScasegError as error:
        hint = f"Name a JSON file, or a shipped list, with --categories: {', '.join(SHIPPED_LISTS)}."
        raise ScasegError(error.message, hint) from error
    names, suffix = _names(labels)
    records = tuple(
        ImageRecord(key, name if labels.suffix is None else f"{key}.png", name, 0, 0, ())
        for key, name in _chosen(labels, names).items()
    )
    if labels.colours is not None:
        if labels.ignored:
            raise ScasegError(
                f"values to ignore {list(labels.ignored)} do not apply to labels painted in colours",
                "Leave out --ignored: a colour whose name is no class is ignored.",
            )
        if not labels.colours.is_file():
            raise ScasegError(f"the table of colours {labels.colours} does not exist", "Check --colours.")
        table = read_colours(labels.colours, {category.name: category.id for category in categories})
        return LabelledSet(labels.folder, labels.folder, categories, records, (), colours=table)
    is_raw = labels.categories == COCO_STUFF and not suffix.startswith(TRAIN_IDS)
    values = coco_stuff_raw_values() if is_raw else tuple(category.id for category in categories)
    kept = [pair for pair in zip(categories, values, strict=True) if pair[1] not in set(labels.ignored)]
    return LabelledSet(
        labels.folder,
        labels.folder,
        tuple(item for item, _ in kept),
        records,
        tuple(value for _, value in kept),
        labels.ignored,
    )


def _names(labels: MapLabels) -> tuple[list[str], str]:
    """The names of the label maps, and the suffix that they share."""
    files = files_below(labels.folder, "labels")
    if labels.suffix is not None:
        found = [name for name in files if name.endswith(labels.suffix)]
        if not found:
            raise ScasegError(
                f"the folder of labels {labels.folder} contains no file whose name ends in {labels.suffix!r}",
                f"Check --label-suffix.{f' It contains, for example, {files[0]}.' if files else ''}",
            )
        return found, labels.suffix
    maps = [name for name in files if name.lower().endswith(MAP_SUFFIXES)]
    if not maps:
        raise ScasegError(f"the folder of labels {labels.folder} contains no PNG", "Name the folder of label maps.")
    marked = [name for name in maps if PurePosixPath(name).stem.endswith(TRAIN_IDS)]
    return (marked, f"{TRAIN_IDS}.png") if marked else (maps, "")


def _chosen(labels: MapLabels, names: Sequence[str]) -> dict[str, str]:
    """The label maps to score by `key_of`, those of the list if there is one."""
    by_key: dict[str, str] = {}
    for name in names:
        key = key_of(name if labels.suffix is None else name.removesuffix(labels.suffix), labels.suffix is None)
        if key in by_key:
            raise ScasegError(
                f"the folder of labels {labels.folder} contains {by_key[key]} and {name}, which belong to one image",
                "Name the right ones by --label-suffix, such as .png.",
            )
        by_key[key] = name
    if labels.list is None:
        return by_key
    by_name: dict[str, list[str]] = {}
    for key in by_key:
        by_name.setdefault(PurePosixPath(key).name, []).append(key)
    try:
        wanted = listed(labels.list)
    except ScasegError as error:
        raise ScasegError(error.message, "Check --list: a text file with one image name per line.") from error
    chosen: dict[str, str] = {}
    missing = []
    for name in wanted:
        keys = [key for key in (name, key_of(name)) if key in by_key]
        alike = by_name.get(PurePosixPath(name).name) or by_name.get(PurePosixPath(key_of(name)).name) or []
        found = keys[:1] or (alike if len(alike) == 1 else [])
        chosen.update((key, by_key[key]) for key in found)
        missing += [] if found else [name]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise ScasegError(
            f"{labels.list} names images that have no label map in {labels.folder}: "
            f"{', '.join(missing[:_SHOWN])}{more}",
            "Check --list, --labels and --label-suffix.",
        )
    return chosen
