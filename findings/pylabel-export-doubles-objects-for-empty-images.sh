#!/usr/bin/env bash
# Package: pylabel 0.1.55 beside pycocotools 2.0.11 (with pandas 2.2.3 and numpy 2.4.6), Python 3.11.
#
# Behaviour: when pylabel exports a COCO file that it has imported, each image without annotations makes it write the
# annotation before it once more: with the same id, on the same image. The images stay in the file. With an empty image
# in front of all others the export fails.
#
# Guess that missed: an image without annotations stays one, and no object is written twice.
#
# Seen (images 1 and 2 have an object each, 3 to 5 none):
#   annotations before: 2, on images [1, 2]
#   annotations after:  5, on images [1, 2, 2, 2, 2]; ids [0, 1, 1, 1, 1]
#   images after:       [1, 2, 3, 4, 5]
#   AR of perfect masks: before 1.00, after 0.40
#
# Why it matters: sets with images of nothing, as COCO's own, get objects that lie exactly on each other. No prediction
# finds more than one of them, panoptic maps made from the file lose all but one, and ids that repeat are dropped or
# overwritten by readers.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile \
  pylabel==0.1.55 pandas==2.2.3 pycocotools==2.0.11 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - 2>/dev/null <<'PY'
import contextlib
import io
import json

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from pylabel import importer


def square(image, left, side):
    corners = [left, 0, left + side, 0, left + side, side, left, side]
    return {"image_id": image, "category_id": 1, "segmentation": [corners], "bbox": [left, 0, side, side]}


objects = [square(1, 0, 20), square(2, 10, 30)]
before = {
    "images": [{"id": k, "file_name": f"{k}.png", "width": 64, "height": 64} for k in range(1, 6)],
    "categories": [{"id": 1, "name": "dog", "supercategory": "animal"}],
    "annotations": [{**item, "id": k, "iscrowd": 0, "area": item["bbox"][2] ** 2} for k, item in enumerate(objects, 1)],
}
with open("before.json", "w") as file:
    json.dump(before, file)
importer.ImportCoco("before.json", path_to_images="", name="set").export.ExportToCoco(output_path="after.json")
with open("after.json") as file:
    after = json.load(file)


def recall(document):
    """Mask AR of predictions that equal the two objects; ids are given anew, so that only the doubles matter."""
    for number, item in enumerate(document["annotations"], 1):
        item["id"] = number
    with open("numbered.json", "w") as file:
        json.dump(document, file)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO("numbered.json")
        evaluation = COCOeval(coco, coco.loadRes([{**item, "score": 0.9} for item in objects]), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[8])


def images(document):
    return [item["image_id"] for item in document["annotations"]]


ids = [item["id"] for item in after["annotations"]]
print(f"annotations before: {len(images(before))}, on images {images(before)}")
print(f"annotations after:  {len(images(after))}, on images {images(after)}; ids {ids}")
print("images after:      ", [image["id"] for image in after["images"]])
scores = recall(before), recall(after)
print("AR of perfect masks: before {:.2f}, after {:.2f}".format(*scores))
assert images(before) == [1, 2] and images(after) == [1, 2, 2, 2, 2] and ids == [0, 1, 1, 1, 1]
assert scores[0] > 0.999 and scores[1] < 0.5
PY
