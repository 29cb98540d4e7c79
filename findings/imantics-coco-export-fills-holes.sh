#!/usr/bin/env bash
# Package: imantics 0.1.12 beside pycocotools 2.0.11 (with opencv-python 5.0.0.93 and numpy 2.4.6), Python 3.11.
#
# Behaviour: imantics writes a mask with a hole to COCO's format as two polygons, the outline and the hole. The format
# has no holes in polygons: readers fill both. "area" in the same annotation is without the hole, and imantics reads its
# own polygons back with it, which hides the matter. RLE, which the format has for such masks, is not used.
#
# Guess that missed: a mask that is written with its hole, or refused, and an area that is that of the segmentation.
#
# Seen (a ring: 30 x 30 pixels with a hole of 20 x 20):
#   in the mask: 500 pixels, 0 of them in the hole; "area" 500
#   in the file: polygons 2, iscrowd 0
#   read by pycocotools: 841 pixels, 400 of them in the hole, IoU 0.49
#   read by imantics:    500 pixels
#
# Why it matters: cups with handles, wheels and wires get masks that cover what is behind them. A perfect prediction of
# this ring has an IoU of 0.49 with its own annotation.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile \
  imantics==0.1.12 opencv-python==5.0.0.93 pycocotools==2.0.11 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - <<'PY'
import imantics
import numpy as np
from pycocotools import mask as coco_mask

ring = np.zeros((50, 50), bool)
ring[10:40, 10:40] = True
ring[15:35, 15:35] = False
image = imantics.Image(np.zeros((50, 50, 3), np.uint8))
annotation = imantics.Annotation.from_mask(imantics.Mask(ring), image=image, category=imantics.Category("cup"))
written = annotation.coco(include=False)
read = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(written["segmentation"], 50, 50))).astype(bool)
own = imantics.Mask(ring).polygons().mask(50, 50).array.astype(bool)


def in_hole(mask):
    return int(mask[15:35, 15:35].sum())


iou = (read & ring).sum() / (read | ring).sum()
print(f"in the mask: {ring.sum()} pixels, {in_hole(ring)} of them in the hole; \"area\" {written['area']}")
print(f"in the file: polygons {len(written['segmentation'])}, iscrowd {written['iscrowd']}")
print(f"read by pycocotools: {read.sum()} pixels, {in_hole(read)} of them in the hole, IoU {iou:.2f}")
print(f"read by imantics:    {own.sum()} pixels")
assert written["area"] == ring.sum() and in_hole(own) == 0
assert in_hole(read) == 400 and iou < 0.6
PY
