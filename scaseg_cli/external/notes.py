"""Notes below a table of scored predictions: what is unusual in the files, and what it may mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaseg_cli.data.records import LabelledSet
    from scaseg_cli.external.predicted_set import PredictedSet
    from scaseg_cli.external.score_files import Scored
    from scaseg_cli.external.score_options import ScoreOptions

_FEW = 0.05  # matches per predicted segment below which something is probably wrong with the files


def panoptic_notes(
    labelled: LabelledSet, num_images: int, predicted: PredictedSet, scored: Scored, options: ScoreOptions
) -> Iterator[str]:
    """Describe the scored files, the usual first.

    Args:
        labelled: the scored images.
        num_images: number of images in the annotations.
        predicted: the predictions.
        scored: their counts.
        options: what the user chose.
    """
    which = f"{len(labelled.images)} of {num_images}" if options.only_predicted else f"{num_images}"
    yield f"{which} images. Predictions: {predicted.json_file}."
    yield from predicted.notes
    yield from _few_matches(labelled, scored)
    if options.means == "all":
        yield "Classes in neither labels nor predictions count as 0 in the means (--means all)."
    if predicted.num_others:
        yield f"{predicted.num_others} predictions are of images that the annotations lack, and count nowhere."
    if predicted.num_crowds:
        yield f"{predicted.num_crowds} predicted segments have iscrowd, which only labels can have; it was ignored."
    if predicted.num_repeated:
        yield (
            f"{predicted.num_repeated} predicted segments are listed again with the same id and category; they count "
            "once, as in panopticapi."
        )
    if scored.num_swapped:
        yield (
            f"{scored.num_swapped} predicted PNGs have R and B swapped, as OpenCV writes colours, and were read so. "
            "Other tools will not read them."
        )
    if scored.num_minus_one:
        yield f"{scored.num_minus_one} predicted PNGs have the id 16777215, which is -1 in RGB; read as no segment."
    if scored.num_missing_labels:
        yield f"{scored.num_missing_labels} labelled segments have no pixel in their PNG; they count as missed."
    if scored.num_stray_labels:
        yield (
            f"{scored.num_stray_labels} label PNGs have pixels of segments that the annotations do not list; they are "
            "labelled, but of no class."
        )
    if scored.num_other_areas:
        yield (
            f"{scored.num_other_areas} labelled segments have another area in the annotations than in their PNG, which "
            "counts here; panopticapi takes the one in the annotations."
        )


def _few_matches(labelled: LabelledSet, scored: Scored) -> Iterator[str]:
    """Say where the classes, or the segments, of predictions and labels do not fit."""
    matches, predicted = int(scored.quality.tp.sum()), int((scored.quality.tp + scored.quality.fp).sum())
    if not predicted or matches > _FEW * predicted:
        return
    yield f"Almost nothing matches: {matches} of {predicted} predicted segments."
    others = [pair for pair in scored.other_class.most_common() if pair[0][0] != pair[0][1]]
    if not others:
        yield "The segments themselves do not fit the labels: are these predictions of the same images and sizes?"
        return
    (guess, truth), _ = others[0]
    names = {category.id: category.name for category in labelled.categories}
    yield (
        f"{sum(count for _, count in others)} segments would match a label of another class, such as category "
        f"{guess} ({names[guess]}) one of {truth} ({names[truth]}): the category ids may be those of another list."
    )
    ids, used = sorted(names), {pair[0] for pair, _ in others}
    if max(used) <= len(ids) < ids[-1]:
        yield f"The predicted ids look contiguous, 0 to {len(ids) - 1} in place of the annotations' up to {ids[-1]}."
