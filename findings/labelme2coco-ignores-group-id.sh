#!/usr/bin/env bash
# Package: labelme2coco 0.2.6 beside pycocotools 2.0.11 (with opencv-python 5.0.0.93 and numpy 2.4.6), Python 3.11.
#
# Behaviour: in labelme's format, shapes of one label and one group_id are the parts of one object. labelme2coco writes
# each shape as an object of its own. Nothing is said about it. COCO's format has polygons of several parts.
#
# Guess that missed: parts of one group become one annotation with several polygons.
#
# Seen (a dog behind a pole, drawn as two shapes of group 1):
#   labelme: shapes 2, groups 1
#   COCO:    annotations 2, polygons in each [1, 1]
#   a mask of the whole dog: AP 0.05, AR 0.05; of its parts as two dogs: AP 1.00
#
# Why it matters: what is partly hidden is drawn in parts. The exported file counts more objects than there are, and a
# model that finds the whole object scores next to nothing for it.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile \
  labelme2coco==0.2.6 sahi==0.12.8 pycocotools==2.0.11 opencv-python==5.0.0.93 numpy==2.4.6
cd "$folder"
mkdir labelme
venv/bin/python -W ignore - 2>/dev/null <<'PY'
import contextlib
import io
import json

from labelme2coco import get_coco_from_labelme_folder
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def square(left):
    return [[left, 10], [left + 20, 10], [left + 20, 30], [left, 30]]


def part(left):
    return {"label": "dog", "points": square(left), "group_id": 1, "shape_type": "polygon", "flags": {}}


shapes = [part(10), part(40)]
Image.new("RGB", (100, 100)).save("labelme/a.png")
document = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": "a.png", "imageData": None}
with open("labelme/a.json", "w") as file:
    json.dump({**document, "imageHeight": 100, "imageWidth": 100}, file)
with contextlib.redirect_stdout(io.StringIO()):
    written = get_coco_from_labelme_folder("labelme", category_id_start=1).json
with open("coco.json", "w") as file:
    json.dump(written, file)


def score(*found):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO("coco.json")
        results = [
            {"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": [sum(square(left), []) for left in lefts]}
            for lefts in found
        ]
        for item in results:  # loadRes takes masks as RLE
            item["segmentation"] = coco.annToRLE(item)
        evaluation = COCOeval(coco, coco.loadRes(results), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0]), float(evaluation.stats[8])


polygons = [len(item["segmentation"]) for item in written["annotations"]]
groups = {(shape["label"], shape["group_id"]) for shape in shapes}
whole, parts = score([10, 40]), score([10], [40])
print(f"labelme: shapes {len(shapes)}, groups {len(groups)}")
print(f"COCO:    annotations {len(polygons)}, polygons in each {polygons}")
print("a mask of the whole dog: AP {:.2f}, AR {:.2f}; of its parts as two dogs: AP {:.2f}".format(*whole, parts[0]))
assert polygons == [1, 1] and whole[1] < 0.1 and parts[0] > 0.999
PY
