"""Tells a panoptic annotation file from COCO's other annotation files, which have similar names in the same folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from pathlib import Path

# (a key of the first annotation, what the file contains); the most specific key comes first
_KINDS = (
    ("caption", "captions"),
    ("keypoints", "person keypoints"),
    ("segmentation", "instances with one outline each"),
)


def check_is_panoptic(path: Path, content: dict[str, Any]) -> None:
    """Check that ``content`` is not in another COCO format: captions, instances, keypoints, or images alone.

    Raises:
        ScasegError: it is; says which format, and what the panoptic file is named.
    """
    annotations = content.get("annotations")
    first = annotations[0] if isinstance(annotations, list) and annotations else None
    if isinstance(first, dict) and "segments_info" not in first:
        kind = next((kind for key, kind in _KINDS if key in first), None)
    else:
        kind = "images without annotations" if "annotations" not in content and content.get("images") else None
    if kind is not None:
        hint = "Use COCO's panoptic file of the same images, panoptic_train2017.json or panoptic_val2017.json."
        if kind.startswith("instances"):
            hint += f" Without stuff: scaseg convert instances {path} -o panoptic.json"
        raise ScasegError(f"the annotation file {path} contains {kind}, not panoptic labels", hint)
