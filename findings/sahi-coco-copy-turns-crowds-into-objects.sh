#!/usr/bin/env bash
# Package: sahi 0.12.8 beside pycocotools 2.0.11 (with opencv-python 5.0.0.93 and numpy 2.4.6), Python 3.11.
#
# Behaviour: sahi's Coco reads a COCO file and writes it again (.json) with iscrowd 0 for every annotation. A crowd,
# which has an RLE mask in COCO, is left as a plain box of one object. A warning says that the RLE mask is skipped;
# nothing says that the crowd is none any more. Image ids are counted from 1: that is the constructor's documented
# default (image_id_setting), for which from_coco_dict_or_path, the reader, has no argument.
#
# Guess that missed: images and annotations that are neither cut nor filtered stay what they are.
#
# Seen (two images, ids 397133 and 37777; the first one has a dog and a crowd of dogs):
#   image ids: before [397133, 37777], after [1, 2]
#   iscrowd:   before [0, 1, 0], after [0, 0, 0]
#   AP of perfect detections of the objects: before 1.00, after 0.66
#   the same detections, with their old image ids: refused by loadRes, which wants the images of the file
#
# Why it matters: the class is used to split, merge, subsample and slice datasets. On the copy every crowd is a missed
# object, and predictions, captions or panoptic files that go by image id belong to no image, or to another one.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile \
  sahi==0.12.8 opencv-python==5.0.0.93 pycocotools==2.0.11 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - 2>/dev/null <<'PY'
import contextlib
import copy
import io

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sahi.utils.coco import Coco

dogs = [(397133, [10, 10, 20, 20]), (37777, [30, 30, 20, 20])]


def polygon(x, y, width, height):
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


before = {
    "images": [{"id": i, "file_name": f"{i}.png", "width": 100, "height": 100} for i, _ in dogs],
    "categories": [{"id": 18, "name": "dog"}],
    "annotations": [
        {"id": n, "image_id": image, "category_id": 18, "iscrowd": 0, "area": box[2] * box[3], "bbox": box,
         "segmentation": polygon(*box)}
        for n, (image, box) in zip((1, 3), dogs)
    ],
}
crowd = {"size": [100, 100], "counts": [6060, 30] + [70, 30] * 29 + [1010]}  # rows and columns 60 to 89
before["annotations"].insert(1, {"id": 2, "image_id": 397133, "category_id": 18, "iscrowd": 1, "area": 900,
                                 "bbox": [60, 60, 30, 30], "segmentation": crowd})
after = Coco.from_coco_dict_or_path(copy.deepcopy(before)).json


def precision(data, image_ids):
    found = [{"image_id": i, "category_id": 18, "bbox": box, "score": 0.9} for i, (_, box) in zip(image_ids, dogs)]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = data
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


ids = [[image["id"] for image in data["images"]] for data in (before, after)]
crowds = [[annotation["iscrowd"] for annotation in data["annotations"]] for data in (before, after)]
scores = [precision(data, image_ids) for data, image_ids in zip((before, after), ids)]
print("image ids: before {}, after {}".format(*ids))
print("iscrowd:   before {}, after {}".format(*crowds))
print("AP of perfect detections of the objects: before {:.2f}, after {:.2f}".format(*scores))
try:
    precision(after, ids[0])
    raise SystemExit("the old image ids were accepted")
except AssertionError:
    print("the same detections, with their old image ids: refused by loadRes, which wants the images of the file")
assert ids[1] == [1, 2] and crowds == [[0, 1, 0], [0, 0, 0]]
assert scores[0] > 0.999 and scores[1] < 0.7
PY
