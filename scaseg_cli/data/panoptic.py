"""COCO's panoptic format: all that the other packages need of it, from one place."""

from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.folders import check_files, data_root
from scaseg_cli.data.images import ids_to_rgb, read_image, read_label, rgb_to_ids
from scaseg_cli.data.records import VOID, Category, ImageRecord, LabelledSet, Segment

__all__ = [
    "VOID",
    "Category",
    "ImageRecord",
    "LabelledSet",
    "Segment",
    "check_files",
    "data_root",
    "ids_to_rgb",
    "read_image",
    "read_label",
    "read_panoptic_set",
    "rgb_to_ids",
]
