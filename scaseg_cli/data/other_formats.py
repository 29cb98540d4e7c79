"""Telling a panoptic annotation file from COCO's other files, which lie in the same folder under names much alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from pathlib import Path

# (a key of the first annotation, what such a file is), the most telling key first
_KINDS = (
    ("caption", "captions"),
    ("keypoints", "keypoints of persons"),
    ("segmentation", "instances, each with an outline of its own"),
)


def check_is_panoptic(path: Path, content: dict[str, Any]) -> None:
    """Go on unless ``content`` is of another of COCO's formats: captions, instances, keypoints, or images alone.

    Raises:
        ScasegError: it is; says which, and what the panoptic file is called.
    """
    annotations = content.get("annotations")
    first = annotations[0] if isinstance(annotations, list) and annotations else None
    if isinstance(first, dict) and "segments_info" not in first:
        kind = next((kind for key, kind in _KINDS if key in first), None)
    else:
        kind = "images without annotations" if "annotations" not in content and content.get("images") else None
    if kind is not None:
        raise ScasegError(
            f"the annotation file {path} holds {kind}, not panoptic labels",
            "COCO's panoptic file of the same images is called panoptic_train2017.json or panoptic_val2017.json.",
        )
