"""Matches label maps to images by their names in two folders.

An image's *key* is its path below its folder, without the suffix. The label map with the same key belongs to it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from scaseg_cli.data.decode import image_suffixes
from scaseg_cli.data.folders import files_below
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.recipe.data_section import ImageSet

TRAIN_IDS = "_labelTrainIds"  # MMSegmentation's suffix of converted maps: NAME_labelTrainIds.png belongs to NAME.jpg
_MAP_SUFFIXES = (".tif", ".tiff", ".bmp")  # of label maps, where a folder has no PNG
_SHOWN = 5


class Pair(NamedTuple):
    """An image's file name and its label map's, each relative to its folder."""

    image: str
    label: str


class Pairs(NamedTuple):
    """The images that have a label map.

    Attributes:
        pairs: in the order of the image names.
        are_train_ids: whether the label map names end in `TRAIN_IDS`.
        unlabelled: images without a label map.
        imageless: label maps without an image.
        unknown: names in the list that are no file's.
    """

    pairs: tuple[Pair, ...]
    are_train_ids: bool
    unlabelled: tuple[str, ...] = ()
    imageless: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def pair_files(root: Path, where: ImageSet) -> Pairs:
    """Match each image of a set with its label map; both folders are searched with their subfolders.

    Without ``label_suffix``, label maps are PNGs. If any is named NAME_labelTrainIds.png, all other PNGs are ignored:
    the converter writes its maps next to COCO-Stuff's own. With ``list``, files that it does not name are ignored.

    Args:
        root: the folder that ``where`` is relative to.
        where: the folders, the suffixes and the list of names.

    Raises:
        ScasegError: a folder or the list is missing or empty, two images have the same key, or no image has a label
            map.
    """
    images_dir, labels_dir = root / where.images, root / where.labels
    same_folder = images_dir.resolve() == labels_dir.resolve()
    image_names = files_below(images_dir, "images", None if same_folder else labels_dir)
    label_names = files_below(labels_dir, "label maps", None if same_folder else images_dir)
    labels, are_train_ids = _labels(labels_dir, where.label_suffix, label_names)
    beside = set(labels.values()) if same_folder else set()
    images = _images(images_dir, where.image_suffix, [name for name in image_names if name not in beside])
    unknown: tuple[str, ...] = ()
    all_images, all_labels = images, labels
    if where.list is not None:
        chosen, unknown = _chosen(listed(root / where.list), images, labels, where.list)
        images, labels = ({key: name for key, name in files.items() if key in chosen} for files in (images, labels))
    pairs = tuple(Pair(name, labels[key]) for key, name in images.items() if key in labels)
    if not pairs:
        example = next(iter((all_labels if images else all_images).values()))
        raise _no_pair(images, labels, root, where, example)
    return Pairs(
        pairs,
        are_train_ids,
        tuple(name for key, name in images.items() if key not in labels),
        tuple(name for key, name in labels.items() if key not in images),
        unknown,
    )


def _labels(folder: Path, suffix: str | None, names: list[str]) -> tuple[dict[str, str], bool]:
    """Label map names by key, and whether they are marked by `TRAIN_IDS`."""
    if suffix is not None:
        found = _ending_in(suffix, names, f"label maps {folder}", "`labels` and `label_suffix`")
        return found, PurePosixPath(suffix).stem.endswith(TRAIN_IDS)
    maps = [name for name in names if name.lower().endswith(".png")]
    if not maps:
        maps = [name for name in names if name.lower().endswith(_MAP_SUFFIXES)]
    if not maps:
        raise ScasegError(
            f"the folder of label maps {folder} contains no PNG",
            f"Check `labels` in the recipe.{_for_example(names)}",
        )
    keys = {_without_suffix(name): name for name in maps}
    marked = {key.removesuffix(TRAIN_IDS): name for key, name in keys.items() if key.endswith(TRAIN_IDS)}
    return marked or keys, bool(marked)


def _images(folder: Path, suffix: str | None, names: list[str]) -> dict[str, str]:
    """Image names by key, in the order of the names."""
    if suffix is not None:
        return _ending_in(suffix, names, f"images {folder}", "`images` and `image_suffix`")
    suffixes = image_suffixes()
    names = [name for name in names if PurePosixPath(name).suffix.lower() in suffixes]
    if not names:
        raise ScasegError(f"the folder of images {folder} contains no image", "Check `images` in the recipe.")
    twice = [key for key, count in Counter(map(_without_suffix, names)).items() if count > 1]
    if twice:
        raise ScasegError(
            f"the folder of images {folder} contains {_few(twice)} twice, with different suffixes",
            "A label map belongs to one image: remove the others, or set `image_suffix` in the recipe.",
        )
    return {_without_suffix(name): name for name in names}


def _ending_in(suffix: str, names: list[str], where: str, keys: str) -> dict[str, str]:
    """Names that end in a suffix, by what is before it."""
    found = {name.removesuffix(suffix): name for name in names if name.endswith(suffix)}
    if not found:
        raise ScasegError(
            f"the folder of {where} contains no file whose name ends in {suffix!r}",
            f"Check {keys} in the recipe.{_for_example(names)}",
        )
    return found


def _without_suffix(name: str) -> str:
    return name.removesuffix(PurePosixPath(name).suffix)


def listed(path: Path) -> tuple[str, ...]:
    """Read a list of image names, one per line, as in VOC's ImageSets; each name once, in the file's order.

    Raises:
        ScasegError: the file is missing, empty, or not text.
    """
    what = f"the list of images {path}"
    if not path.is_file():
        missing = "is a folder" if path.is_dir() else "does not exist"
        raise ScasegError(f"{what} {missing}", "Check `list` under `data` in the recipe.")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ScasegError(f"{what} cannot be read: {error}", "Save it as UTF-8 text, one name per line.") from error
    names = dict.fromkeys(line.strip().replace("\\", "/").removeprefix("./") for line in lines if line.strip())
    if not names:
        raise ScasegError(f"{what} is empty", "Write one image name per line.")
    return tuple(names)


def _chosen(
    names: tuple[str, ...], images: dict[str, str], labels: dict[str, str], list_name: str
) -> tuple[set[str], tuple[str, ...]]:
    """The keys that a list names, and the names that no file has.

    A name is a key or a file name, with more or fewer leading folders than the file has.
    """
    by_name: dict[str, set[str]] = {}
    for files in (images, labels):
        for key, file_name in files.items():
            for whole in (key, file_name):
                for tail in _tails(whole):
                    by_name.setdefault(tail, set()).add(key)
    chosen: set[str] = set()
    unknown = []
    for name in names:
        keys = {name} if name in images else next((by_name[tail] for tail in _tails(name) if tail in by_name), set())
        if len(keys) > 1:
            raise ScasegError(
                f"{name!r} in {list_name} names {len(keys)} files: {_few(sorted(images.get(k, k) for k in keys))}",
                "Write their folder before the name.",
            )
        if not keys:
            unknown.append(name)
        chosen |= keys
    return chosen, tuple(unknown)


def _tails(name: str) -> list[str]:
    """The name, and the name without its first folders."""
    parts = name.split("/")
    return ["/".join(parts[first:]) for first in range(len(parts))]


def _no_pair(images: dict[str, str], labels: dict[str, str], root: Path, where: ImageSet, example: str) -> ScasegError:
    if where.list is not None and not (images and labels):
        which = "images" if not images else "label maps"
        folder = root / (where.labels if images else where.images)
        return ScasegError(
            f"the list {root / where.list} names none of the {which} in {folder}, such as {example}; its first name is "
            f"{listed(root / where.list)[0]!r:.80}",
            "Write the images' names without folder and suffix, one per line.",
        )
    return ScasegError(
        f"none of {len(images)} images in {root / where.images} has a label map in {root / where.labels}: "
        f"{_few(list(images.values()), 1)} and {_few(list(labels.values()), 1)} do not match",
        "NAME.jpg belongs to NAME.png or NAME_labelTrainIds.png; for other names set `image_suffix` and "
        "`label_suffix` of the part in the recipe, such as _leftImg8bit.png and _gtFine_labelTrainIds.png.",
    )


def _for_example(names: list[str]) -> str:
    return f" It contains, for example, {names[0]}." if names else ""


def _few(names: list[str], shown: int = _SHOWN) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
