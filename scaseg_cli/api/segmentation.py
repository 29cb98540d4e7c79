"""A finished run that segments images, for Python programs. Shapes: H W image."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np

from scaseg_cli.api.images import AnyImage, AnyPath, read_all
from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import silent
from scaseg_cli.run_dir import RunDir
from scaseg_cli.tasks import SETTINGS, Setting, task_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray
    from PIL import Image

    from scaseg_cli.drawing.class_styles import ClassStyle
    from scaseg_cli.prediction.model import Model, Predictor, Segments
    from scaseg_cli.recipe.schema import Recipe

ImageT = TypeVar("ImageT", bound=AnyImage)

_KEPT_VOCABULARIES = 64  # lists of names whose classifiers stay in memory, each about a MB


@dataclass(frozen=True)
class ClassInfo:
    """One class of a run.

    Attributes:
        name: its name in the data.
        category_id: its number in the data and in results.
        isthing: whether its instances are told apart.
        seen: whether training showed it.
    """

    name: str
    category_id: int
    isthing: bool
    seen: bool


@dataclass(frozen=True)
class Segment:
    """One segment of an image.

    Attributes:
        id: its value in `Segmentation.ids`.
        name: its class, as the caller or the run names it.
        category_id: the class's number: the data's own for a class of the run, else one after those.
        isthing: whether the class is a thing.
        seen: whether training showed the class.
        score: the largest class probability of its queries, 0..1.
        box: left, top, width and height, in pixels.
        area: in pixels.
    """

    id: int
    name: str
    category_id: int
    isthing: bool
    seen: bool
    score: float
    box: tuple[int, int, int, int]
    area: int
    _ids: NDArray[np.int32] = field(repr=False, compare=False)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The segment's pixels, bool [H, W]; computed from `Segmentation.ids` at each access."""
        return np.asarray(self._ids == self.id)


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The segments of one image.

    Attributes:
        ids: the id of each pixel's segment, int32 [H, W]; 0 where no segment is. With a semantic segmentation run the
            ids are category ids.
        segments: in the order of their ids; of a semantic segmentation run, one for each class that was found.
    """

    ids: NDArray[np.int32]
    segments: tuple[Segment, ...]
    _image: NDArray[np.uint8] = field(repr=False)
    _found: Segments = field(repr=False)
    _styles: list[ClassStyle] = field(repr=False)

    def overlay(self) -> Image.Image:
        """The segments over the grayscale image, with their names; unseen classes are outlined in white.

        Returns:
            The picture that `scaseg predict` writes: RGB, its longer side at most 1024 pixels, and at least 512.
        """
        from scaseg_cli.prediction.results import draw_overlay

        return draw_overlay(self._image, self._found, self._styles)


class SegmentationModel:
    """A finished run that segments any images into any classes; `load` makes it.

    Several threads may use one model at the same time. The network runs for one of them at a time; reading and what
    follows the network run in parallel. Results do not depend on the number of threads.

    Class names that the run does not have go through CLIP's text encoder. The model loads it for the first such name
    and keeps it, with the vectors of the last 4096 names.

    Args:
        folder: the run folder.
        predictor: what was loaded from it.
    """

    def __init__(self, folder: Path, predictor: Predictor) -> None:
        self._folder, self._predictor = folder, predictor
        self._over = lru_cache(_KEPT_VOCABULARIES)(predictor.over)
        self._classes = tuple(
            ClassInfo(item.name, item.category_id, item.isthing, item.seen)
            for item in self._over(None).vocabulary.classes
        )

    def __repr__(self) -> str:
        unseen = sum(not item.seen for item in self._classes)
        return (
            f"SegmentationModel({str(self._folder)!r}, task={self.task!r}, setting={self.setting!r}, "
            f"device={str(self.device)!r}, {len(self._classes)} classes, {unseen} of them unseen)"
        )

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """The run's classes, seen ones first: those that `segment` looks for when it is given no names."""
        return self._classes

    @property
    def setting(self) -> Setting:
        """``inductive``: the base model with its increment; ``transductive``: the fine-tuned projector."""
        return self._predictor.setting

    @property
    def task(self) -> str:
        """``zps``: zero-shot panoptic segmentation; ``zss``: zero-shot semantic segmentation."""
        return self.recipe.task

    @property
    def recipe(self) -> Recipe:
        """The recipe that made the run."""
        return self._predictor.recipe

    @property
    def device(self) -> torch.device:
        """The network's device."""
        return self._predictor.segmentor.device

    @overload
    def segment(
        self,
        image: AnyImage,
        names: str | Sequence[str] | None = ...,
        *,
        stuff: Sequence[str] | None = ...,
        object_threshold: float | None = ...,
        increment: float | None = ...,
        batch_size: int | None = ...,
    ) -> Segmentation: ...

    @overload
    def segment(
        self,
        image: list[ImageT] | tuple[ImageT, ...],
        names: str | Sequence[str] | None = ...,
        *,
        stuff: Sequence[str] | None = ...,
        object_threshold: float | None = ...,
        increment: float | None = ...,
        batch_size: int | None = ...,
    ) -> list[Segmentation]: ...

    def segment(
        self,
        image: AnyImage | list[ImageT] | tuple[ImageT, ...],
        names: str | Sequence[str] | None = None,
        *,
        stuff: Sequence[str] | None = None,
        object_threshold: float | None = None,
        increment: float | None = None,
        batch_size: int | None = None,
    ) -> Segmentation | list[Segmentation]:
        """Segment an image, or several, as `scaseg predict` does.

        Args:
            image: uint8 RGB [H, W, 3] or grayscale [H, W]; a Pillow image; or a file. Files and Pillow images are
                rotated by their EXIF entry. A list or tuple of such images gives a list of results.
            names: names of things; or a text of things, a semicolon and stuff, such as ``"zebra, lamp; grass, sky"``;
                None: the run's classes. Names that are not among the run's seen classes count as unseen. The order of
                the names does not matter. ``"person|human"`` is one class with two names.
            stuff: names of stuff, whose instances are not told apart.
            object_threshold: the least class probability of a segment, 0..1; None: the recipe's. Semantic
                segmentation has none.
            increment: added to the logits of unseen classes; None: the recipe's for the base model, else 0.
            batch_size: neighboring images of one size that go through the network at once; None: the recipe's.

        Returns:
            The segments of the image, or a list with those of each image.

        Raises:
            ScasegError: a file cannot be read as an image; two names mean one class, no class is named, or a name is
                too long for the CLIP; the threshold is not in 0..1, or the task has none; the increment is not finite.
            ValueError: an array of another type or shape, an image without pixels, or a batch size below 1.
            TypeError: an image or a name of another type.
        """
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, and must be at least 1")
        many = isinstance(image, (list, tuple))
        images: Sequence[Any] = image if isinstance(image, (list, tuple)) else [image]
        with silent():
            model = self._model(_names(names, stuff), object_threshold, increment)
            read = read_all(images, many)
            found = model.segment_all(read, batch_size or self.recipe.evaluation.batch_size)
            results = [_segmentation(model, pixels, segments) for _, pixels, segments in found]
        return results if many else results[0]

    def _model(
        self,
        names: tuple[tuple[str, ...], tuple[str, ...]] | None,
        object_threshold: float | None,
        increment: float | None,
    ) -> Model:
        from scaseg_cli.prediction.model import check_increment, check_threshold

        if object_threshold is not None:
            check_threshold(self.recipe, object_threshold, "object_threshold")
        if increment is not None:
            check_increment(increment, "increment")
        model = self._over(names)
        if object_threshold is not None:
            model = model.with_threshold(object_threshold)
        return model if increment is None else model.with_increment(increment)


def load(
    folder: AnyPath, setting: Setting | None = None, device: str | torch.device | None = None
) -> SegmentationModel:
    """Load a finished run, by the recipe in its folder, or a packed model.

    As for every command, the recipe says how PyTorch computes in this process: its number of CPU threads, if the recipe
    has one, and whether kernels must be deterministic. The state of random numbers is left as it was.

    Args:
        folder: the run folder, such as ``runs/shapes-zps``, or a file that `scaseg pack` wrote. If the recipe of a run
            folder names files by relative paths, the current folder must be the one in which the run was made.
        setting: ``inductive`` or ``transductive``; None: transductive if the run has a fine-tuned projector.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or a `torch.device`; None: a GPU if the recipe uses GPUs and this
            machine has one, else the CPU. Results differ between devices by rounding.

    Raises:
        ScasegError: the folder is no run folder, a stage is not finished or its files have changed, the setting is
            unknown, or the machine does not have the device.
    """
    from scaseg_cli.recipe import recipe_of

    if setting is not None and setting not in SETTINGS:
        raise ScasegError(f"there is no setting {setting!r}", f"Name one of {', '.join(SETTINGS)}, or none.")
    place = Path(folder)
    with ExitStack() as held:
        if place.is_file():
            from scaseg_cli.packing.pack import unpacked

            recipe, run = held.enter_context(unpacked(place))
        else:
            run = RunDir(place)
            recipe = recipe_of(run.path)
        return _loaded(place, recipe, run, setting, device)


def _loaded(
    place: Path, recipe: Recipe, run: RunDir, setting: Setting | None, device: str | torch.device | None
) -> SegmentationModel:
    import torch  # takes seconds, which a wrong folder need not cost

    from scaseg_cli.prediction.model import choose_setting, load_predictor

    if device is None:
        device = "cuda" if recipe.gpus and torch.cuda.is_available() else "cpu"
    # mmdet's positional encoding, once a process; nothing that the caller can change
    warnings.filterwarnings("ignore", "torch.meshgrid", UserWarning)
    with silent():
        return SegmentationModel(place, load_predictor(recipe, run, choose_setting(run, setting), device))


def _names(
    names: str | Sequence[str] | None, stuff: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Names of things and of stuff; None: the run's classes.

    Raises:
        ScasegError: no class is named.
        TypeError: a name is not a text, or ``stuff`` is one.
    """
    from scaseg_cli.prediction.names import EXAMPLE, parse_names, tidy

    if names is None and stuff is None:
        return None
    if isinstance(stuff, str):
        raise TypeError(f"stuff is a list of names, not the text {stuff!r}")
    things, others = parse_names(names) if isinstance(names, str) else (list(names or ()), [])
    others = [*others, *(stuff or ())]
    for name in (*things, *others):
        if not isinstance(name, str):
            raise TypeError(f"a class name is a text, not {name!r}")
    if not things and not others:
        raise ScasegError("the list of classes is empty", EXAMPLE)
    return tuple(map(tidy, things)), tuple(map(tidy, others))


def _segmentation(model: Model, image_HW3: NDArray[np.uint8], found: Segments) -> Segmentation:
    """What the network found in an image, in the words of `scaseg predict`'s files."""
    from scaseg_cli.prediction.results import id_map, segments_info, styles_of

    semantic = task_of(model.recipe).labels == "semantic"
    info = segments_info(found, model.vocabulary, semantic)
    ids = id_map(found, [item["id"] for item in info])
    segments = tuple(
        Segment(
            id=item["id"],
            name=item["category"],
            category_id=item["category_id"],
            isthing=bool(item["isthing"]),
            seen=model.vocabulary.classes[index].seen,
            score=item["score"],
            box=tuple(item["bbox"]),
            area=item["area"],
            _ids=ids,
        )
        for item, index in zip(info, found.class_index_S.tolist(), strict=True)
    )
    return Segmentation(ids, segments, image_HW3, found, styles_of(model.vocabulary, semantic))
