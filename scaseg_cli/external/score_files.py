"""Computes the panoptic quality of predictions in files, one image at a time, and collects all mistakes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.data.prefetch import num_cores
from scaseg_cli.data.processes import spread
from scaseg_cli.errors import ScasegError
from scaseg_cli.external.compare import Compared, PngPair, compare_all
from scaseg_cli.measures.panoptic_quality import PanopticQuality, label_segments
from scaseg_cli.results.console import meter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scaseg_cli.data.records import ImageId, ImageRecord, LabelledSet
    from scaseg_cli.external.predicted_set import Predicted, PredictedSet

_SHOWN = 50  # images with mistakes to name; further ones are counted
_CHUNK = 50  # images per task: under 0.3 s at COCO's size, so that Ctrl-C takes effect soon
_A_PROCESS = 1000  # images that justify starting one more process
_LABEL_HINT = "Check that the PNGs are those of the annotations: segment ids in RGB as R + 256 G + 65536 B, or in grey."


@dataclass
class Scored:
    """The counts, and what was unusual in the files.

    Attributes:
        quality: TP, FP, FN and IoU by class.
        num_other_areas: labelled segments whose area in the annotations differs from the PNG.
        num_missing_labels: listed labelled segments without a pixel.
        num_stray_labels: images whose label PNG has pixels of segments that the JSON does not list.
        num_swapped: predicted PNGs with R and B swapped.
        num_minus_one: predicted PNGs with 16777215, which is -1, for no segment.
        other_class: for images without a match, how often a predicted segment of one category would match a labelled
            one of another: (predicted, labelled) category ids.
    """

    quality: PanopticQuality
    num_other_areas: int = 0
    num_missing_labels: int = 0
    num_stray_labels: int = 0
    num_swapped: int = 0
    num_minus_one: int = 0
    other_class: Counter[tuple[int, int]] = field(default_factory=Counter)


def score_files(
    labels: LabelledSet,
    predicted: PredictedSet,
    class_ids: dict[int, int],
    num_classes: int,
    processes: int | None = None,
) -> Scored:
    """Count TP, FP, FN and IoU over all images.

    Args:
        labels: the labelled images.
        predicted: their predictions.
        class_ids: category_id to class_id.
        num_classes: N.
        processes: number of processes; None chooses by cores and images. The result does not depend on it.

    Raises:
        ScasegError: predictions are missing, or PNGs are missing, broken, or do not match their JSON. Checks all
            images and names each one with a mistake.
    """
    if not labels.labels_dir.is_dir():
        raise ScasegError(f"the folder of labels {labels.labels_dir} does not exist", "Name it with --labels FOLDER.")
    scored = Scored(PanopticQuality(num_classes))
    mistakes = Mistakes(f"the file of predictions {predicted.json_file}", at_most=_SHOWN)
    label_mistakes = Mistakes(f"the folder of labels {labels.labels_dir}", at_most=_SHOWN)
    if processes is None:
        processes = max(1, min(num_cores(), len(labels.images) // _A_PROCESS))
    with meter("scoring predictions", len(labels.images)) as shown:
        for record, found in _compared(labels, predicted.images, processes):
            name = f"image {record.image_id} ({record.file_name})"
            problems = predicted.mistakes.get(record.image_id, []) + (found.problems if found is not None else [])
            if problems:
                mistakes.add(f"{name}: {'; '.join(problems)}")
            if found is not None and found.label_problems:
                label_mistakes.add(f"{name}: {'; '.join(found.label_problems)}")
            elif found is not None and not problems:
                _count(scored, record, found, predicted.images[record.image_id], class_ids)
            shown.advance()
    if mistakes.count and label_mistakes.count:
        raise ScasegError(f"{label_mistakes}\n{mistakes}", f"{_LABEL_HINT}\n{predicted.hint}")
    label_mistakes.stop_if_any(_LABEL_HINT)
    mistakes.stop_if_any(predicted.hint)
    return scored


def _compared(
    labels: LabelledSet, predicted: dict[ImageId, Predicted], processes: int
) -> Iterable[tuple[ImageRecord, Compared | None]]:
    """Compare all images in order; None for one without a prediction."""
    pairs = [_pair(labels, record, predicted.get(record.image_id)) for record in labels.images]
    chunks = [pairs[first : first + _CHUNK] for first in range(0, len(pairs), _CHUNK)]
    with spread(processes, "compared predictions") as mapped:
        yield from zip(labels.images, chain.from_iterable(mapped(compare_all, chunks)), strict=True)


def _pair(labels: LabelledSet, record: ImageRecord, found: Predicted | None) -> PngPair | None:
    if found is None:
        return None
    label_ids = tuple([segment.id for segment in record.segments])
    label, prediction = str(labels.label_path(record)), str(found.path)
    return PngPair(label, prediction, record.width, record.height, label_ids, found.segment_ids)


def _count(
    scored: Scored, record: ImageRecord, found: Compared, predicted: Predicted, class_ids: dict[int, int]
) -> None:
    segments = record.segments
    classes = [class_ids[segment.category_id] for segment in segments]
    label = label_segments(found.areas, classes, [bool(segment.iscrowd) for segment in segments])
    matches = scored.quality.add_counts(
        label, found.pixels, [class_ids[category_id] for category_id in predicted.category_ids]
    )
    if not matches:
        _count_other_classes(scored, record, found, predicted)
    scored.num_other_areas += sum(
        segment.area not in (None, area) for segment, area in zip(segments, found.areas[1:-1], strict=True) if area
    )
    scored.num_missing_labels += found.missing_labels
    scored.num_stray_labels += bool(found.stray_labels)
    scored.num_swapped += found.is_swapped
    scored.num_minus_one += found.has_minus_one


def _count_other_classes(scored: Scored, record: ImageRecord, found: Compared, predicted: Predicted) -> None:
    """Count predicted segments that would match a labelled one if classes were not compared."""
    for row, category_id in zip(found.pixels, predicted.category_ids, strict=True):
        for segment, shared, area in zip(record.segments, row[1:-1], found.areas[1:-1], strict=True):
            if not segment.iscrowd and 2 * shared > sum(row) - row[0] + area - shared:
                scored.other_class[category_id, segment.category_id] += 1
