#!/usr/bin/env bash
# Package: globox 2.9.0 beside pycocotools 2.0.11 (with numpy 2.4.6), Python 3.11.
#
# Behaviour: globox reads COCO annotation files without iscrowd, so its COCOEvaluator takes a crowd region for one
# object that must be found, and detections inside the region for false ones. COCO's evaluation leaves them out. Its
# COCO export writes iscrowd 0 for all. The README offers COCO's evaluation and standard metrics, with no exception.
#
# Guess that missed: the same files give COCO's AP, as pycocotools computes it.
#
# Seen (one dog, found exactly, and a crowd of dogs of which one is found):
#   pycocotools: AP 1.000, AR 1.000
#   globox:      AP 0.252, AR 0.500
#   crowds in the file 1, in globox's export 0
#
# Why it matters: COCO's validation set has crowds. Scores are lower than COCO's own for the same detections, by an
# amount that depends on the class, and an exported set gives lower scores in other tools as well.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile globox==2.9.0 pycocotools==2.0.11 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - <<'PY'
import contextlib
import io
import json

from globox import AnnotationSet, COCOEvaluator
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

dog, crowd = [0, 0, 20, 20], [50, 50, 40, 40]
truth = {
    "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 100}],
    "categories": [{"id": 1, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": dog, "area": 400},
        {"id": 2, "image_id": 1, "category_id": 1, "iscrowd": 1, "bbox": crowd, "area": 1600},
    ],
}
found = [
    {"image_id": 1, "category_id": 1, "bbox": dog, "score": 0.9},
    {"image_id": 1, "category_id": 1, "bbox": [52, 52, 10, 10], "score": 0.95},  # within the crowd
]
with open("truth.json", "w") as file:
    json.dump(truth, file)
with open("found.json", "w") as file:
    json.dump(found, file)

with contextlib.redirect_stdout(io.StringIO()):
    coco = COCO("truth.json")
    evaluation = COCOeval(coco, coco.loadRes("found.json"), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
reference = float(evaluation.stats[0]), float(evaluation.stats[8])
truths = AnnotationSet.from_coco("truth.json")
evaluator = COCOEvaluator(ground_truths=truths, predictions=truths.from_results("found.json"))
measured = float(evaluator.ap()), float(evaluator.ar_100())
truths.save_coco("export.json")
with open("export.json") as file:
    exported = sum(item["iscrowd"] for item in json.load(file)["annotations"])

print("pycocotools: AP {:.3f}, AR {:.3f}".format(*reference))
print("globox:      AP {:.3f}, AR {:.3f}".format(*measured))
print("crowds in the file 1, in globox's export", exported)
assert min(reference) > 0.999 and measured[0] < 0.3 and measured[1] == 0.5 and exported == 0
PY
