#!/usr/bin/env bash
# Package: scalabel 0.3.1 (with pydantic 1.10.26, pycocotools 2.0.11 and numpy 2.4.6), Python 3.11.
#
# Behaviour: in the panoptic quality of scalabel (BDD100K's evaluation), predicted pixels where the truth has no segment
# count as part of the union. The definition of panoptic quality takes such void pixels out of the union, and so does
# COCO's evaluation, from which the code is adapted by its own words. A prediction that is mostly void is no false one,
# as in the definition, but the object under it is missed.
#
# Guess that missed: void in the truth costs a prediction nothing.
#
# Seen (an object of 100 pixels beside void, covered completely):
#   predicted pixels on void   scalabel PQ   by the definition
#   0                          100.0         100.0
#   50                         66.7          100.0
#   80                         55.6          100.0
#   120                        0.0           100.0
#
# Why it matters: void is what annotators could not decide, mostly along the borders of objects. Models that fill it, as
# those trained to give every pixel a segment do, lose quality here and not in other tools: figures of BDD100K and COCO
# or Cityscapes are not of one metric.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile \
  scalabel==0.3.1 pydantic==1.10.26 pycocotools==2.0.11 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - 2>/dev/null <<'PY'
import numpy as np
from scalabel.eval.pan_seg import evaluate_pan_seg
from scalabel.label.transforms import mask_to_rle
from scalabel.label.typing import Category, Config, Frame, ImageSize, Label

HEIGHT, WIDTH = 40, 60


def box(left, width):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:10, left : left + width] = 1
    return mask


def frames(dog, sky):
    labels = [Label(id="1", category="dog", rle=mask_to_rle(dog)), Label(id="2", category="sky", rle=mask_to_rle(sky))]
    return [Frame(name="a.png", labels=labels)]


config = Config(
    imageSize=ImageSize(height=HEIGHT, width=WIDTH),
    categories=[Category(name="dog", isThing=True), Category(name="sky", isThing=False)],
)
dog, sky = box(0, 10), box(40, 20)
void = (dog + sky) == 0
measured = []
print("predicted pixels on void   scalabel PQ   by the definition")
for beyond in (0, 5, 8, 12):
    found = box(0, 10 + beyond)
    result = evaluate_pan_seg(frames(dog, sky), frames(found, sky), config, nproc=1)
    pq = float(result.PQ[0]["dog"])
    iou = (found & dog).sum() / ((found | dog) & ~void).sum()
    definition = 100 * float(iou) if iou > 0.5 else 0.0
    measured.append((round(pq, 1), definition))
    print("{:<26} {:<13.1f} {:.1f}".format((found & void).sum(), pq, definition))
assert measured == [(100.0, 100.0), (66.7, 100.0), (55.6, 100.0), (0.0, 100.0)]
PY
