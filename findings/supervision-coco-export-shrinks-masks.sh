#!/usr/bin/env bash
# Package: supervision 0.31.2 (with pycocotools 2.0.11, opencv-python-headless 5.0.0.93, numpy 2.4.6), Python 3.11.
#
# Behaviour: DetectionDataset.as_coco writes a mask as the polygon through the middles of its outermost pixels, and
# pycocotools fills such a polygon without its last row and column. "area" in the same file is still the mask's own, so
# the annotation contradicts itself; supervision reads its own file back to the full mask, which hides it.
#
# Guess that missed: what is read from the exported file with pycocotools is the mask that was exported.
#
# Seen:
#   10 x 10 square: 100 pixels, "area" 100, read by pycocotools 81, by supervision 100
#    4 x  4 square: 16 pixels, "area" 16, read by pycocotools 9, by supervision 16
#   overlap (IoU) of a 4 x 4 square with its own export: 0.56
#
# Why it matters: ground truth made this way is smaller than the objects. A perfect segmentation of small objects scores
# an IoU of 0.56 to 0.81 against it, and seams between neighbouring segments become void pixels.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet \
  supervision==0.31.2 pycocotools==2.0.11 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'EOF'
import contextlib
import io

import cv2
import numpy as np
import supervision as sv
from pycocotools.coco import COCO

def exported(side):
    mask = np.zeros((40, 40), bool)
    mask[10 : 10 + side, 10 : 10 + side] = True
    cv2.imwrite("a.png", np.zeros((40, 40, 3), np.uint8))
    found = sv.Detections(xyxy=sv.mask_to_xyxy(mask[None]), mask=mask[None], class_id=np.array([0]))
    written = sv.DetectionDataset(classes=["x"], images=["a.png"], annotations={"a.png": found})
    written.as_coco(images_directory_path="images", annotations_path="set.json")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO("set.json")
    (annotation,) = coco.loadAnns(coco.getAnnIds())
    again = sv.DetectionDataset.from_coco("images", "set.json", force_masks=True)
    (own,) = again.annotations.values()
    return mask, coco.annToMask(annotation).astype(bool), own.mask[0], annotation["area"]

pixels = {}
for side in (10, 4):
    mask, read, own, area = exported(side)
    pixels[side] = (int(mask.sum()), int(area), int(read.sum()), int(own.sum()))
    print("{:2d} x {:2d} square: {} pixels, \"area\" {}, read by pycocotools {}, by supervision {}".format(side, side, *pixels[side]))
iou = float((mask & read).sum() / (mask | read).sum())
print(f"overlap (IoU) of a 4 x 4 square with its own export: {iou:.2f}")
assert pixels == {10: (100, 100, 81, 100), 4: (16, 16, 9, 16)} and round(iou, 2) == 0.56
EOF
