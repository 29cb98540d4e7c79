#!/usr/bin/env bash
# Package: opencv-python-headless 5.0.0.93 beside pycocotools 2.0.11 (with numpy 2.4.6), Python 3.11.
#
# Behaviour: cv2.fillPoly, given the polygons of one object in one call, leaves out what an even number of them covers:
# the overlap of two polygons is a hole. In COCO's format the polygons of an annotation are parts of one object, and
# pycocotools takes their union. One call of fillPoly for each polygon gives the union too. The documentation speaks of
# areas with holes, not of polygons that overlap.
#
# Guess that missed: what lies in any of the polygons is filled.
#
# Seen (two squares of 20 x 20 that overlap by 10 x 10):
#   pycocotools:               pixels 700, in the overlap 100 of 100
#   fillPoly, one call:        pixels 680, in the overlap 19 of 100
#   fillPoly, a call for each: pixels 761, in the overlap 100 of 100
#
# Why it matters: annotators draw the parts of an object over each other. Masks that a training pipeline draws with one
# call have holes where the object is surest, and the evaluation, with pycocotools, has none there.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile \
  opencv-python-headless==5.0.0.93 pycocotools==2.0.11 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - <<'PY'
import cv2
import numpy as np
from pycocotools import mask as coco_mask


def square(start, size=20):
    end = start + size
    return [start, start, end, start, end, end, start, end]


polygons = [square(5), square(15)]
points = [np.array(polygon, np.int32).reshape(-1, 2) for polygon in polygons]
union = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, 40, 40)))
together = cv2.fillPoly(np.zeros((40, 40), np.uint8), points, 1)
each = np.zeros((40, 40), np.uint8)
for polygon in points:
    cv2.fillPoly(each, [polygon], 1)
overlap = (slice(15, 25), slice(15, 25))
for name, mask in (("pycocotools:", union), ("fillPoly, one call:", together), ("fillPoly, a call for each:", each)):
    print(name.ljust(26), f"pixels {mask.sum()}, in the overlap {mask[overlap].sum()} of 100")
assert union[overlap].all() and each[overlap].all()
assert not together[16:24, 16:24].any()
PY
