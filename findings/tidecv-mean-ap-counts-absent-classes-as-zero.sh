#!/usr/bin/env bash
# Package: tidecv 1.0.1 beside pycocotools 2.0.11 (with opencv-python 5.0.0.93 and numpy 2.4.6), Python 3.11.
#
# Behaviour: a class that the ground truth has no object of, and the predictions at least one, enters tidecv's mean with
# AP 0. COCO's evaluation leaves such a class out. One false mask of any score is enough; a class that occurs in neither
# is left out here too. The README calls tidecv a drop-in replacement for COCO's evaluation.
#
# Guess that missed: the AP of tidecv is COCO's AP at an IoU of 0.5.
#
# Seen (10 classes, of which the ground truth has two; every object is found exactly):
#   false masks of absent classes   pycocotools AP50   tidecv AP   tidecv: loss by background errors
#   0                               100.0              100.0       0.0
#   1                               100.0               66.7       33.3
#   8                               100.0               20.0       80.0
#
# Why it matters: in a part of a validation set, or with a large vocabulary, many classes have no object. A model that
# keeps low scores, as zero-shot models do, predicts most of them somewhere. AP then falls to a fraction of COCO's, and
# the analysis of errors blames the background.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile \
  tidecv==1.0.1 pycocotools==2.0.11 opencv-python==5.0.0.93 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - <<'PY'
import contextlib
import io
import json

import numpy as np
import tidecv
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def square(left, category):
    mask = np.zeros((100, 100), np.uint8, order="F")
    mask[10:30, left : left + 20] = 1
    rle = coco_mask.encode(mask)
    rle["counts"] = rle["counts"].decode()
    return {"image_id": 1, "category_id": category, "segmentation": rle, "bbox": [left, 10, 20, 20]}


objects = [square(0, 1), square(30, 2)]
truth = {
    "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 100}],
    "categories": [{"id": number, "name": f"class {number}"} for number in range(1, 11)],
    "annotations": [{**item, "id": k, "iscrowd": 0, "area": 400} for k, item in enumerate(objects, 1)],
}
with open("truth.json", "w") as file:
    json.dump(truth, file)

print("false masks of absent classes   pycocotools AP50   tidecv AP   tidecv: loss by background errors")
measured = []
for false in (0, 1, 8):
    found = [{**item, "score": 0.9} for item in objects]
    found += [{**square(60, category), "score": 0.01} for category in range(3, 3 + false)]
    with open("found.json", "w") as file:
        json.dump(found, file)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO("truth.json")
        evaluation = COCOeval(coco, coco.loadRes("found.json"), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        tide = tidecv.TIDE()
        run = tide.evaluate(
            tidecv.datasets.COCO("truth.json"), tidecv.datasets.COCOResult("found.json"), mode=tidecv.TIDE.MASK
        )
        (errors,) = tide.get_main_errors().values()
    row = 100 * float(evaluation.stats[1]), float(run.ap), float(errors["Bkg"])
    measured.append([round(value, 1) for value in row])
    print("{:<31} {:5.1f}              {:5.1f}       {:.1f}".format(false, *row))
assert measured == [[100.0, 100.0, 0.0], [100.0, 66.7, 33.3], [100.0, 20.0, 80.0]]
PY
