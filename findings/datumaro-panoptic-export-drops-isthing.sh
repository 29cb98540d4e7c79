#!/usr/bin/env bash
# Package: datumaro 1.13.12 (with pillow 12.0.0 and numpy 2.4.6), Python 3.11.
#
# Behaviour: a set in COCO's panoptic format that is imported and exported again, in the same format, comes out with
# isthing 0 for every category. Names, super-categories, segments and pixels stay. Nothing is said about it.
#
# Guess that missed: import and export of the same format keep what the format is about: which classes are things.
#
# Seen:
#   before: [('dog', 1), ('sky', 0)]
#   after:  [('dog', 0), ('sky', 0)]
#   segment ids in the PNG: before [1, 2], after [1, 2]
#
# Why it matters: panoptic quality of things is then over no class at all, that of stuff over all of them, and a model
# trained on the file merges all objects of a class into one segment. Both look like valid results.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile datumaro==1.13.12 pillow==12.0.0 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - <<'EOF'
import json
from pathlib import Path

import numpy as np
from datumaro.components.dataset import Dataset
from PIL import Image

for part in ("set/annotations/panoptic_val", "set/images/val"):
    Path(part).mkdir(parents=True)
ids = np.ones((20, 20, 1), np.uint8)
ids[:, 10:] = 2
Image.fromarray(np.pad(ids, ((0, 0), (0, 0), (0, 2)))).save("set/annotations/panoptic_val/a.png")
Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save("set/images/val/a.jpg")
categories = [
    {"id": 1, "name": "dog", "supercategory": "animal", "isthing": 1},
    {"id": 2, "name": "sky", "supercategory": "sky", "isthing": 0},
]
segments = [
    {"id": 1, "category_id": 1, "area": 200, "bbox": [0, 0, 10, 20], "iscrowd": 0},
    {"id": 2, "category_id": 2, "area": 200, "bbox": [10, 0, 10, 20], "iscrowd": 0},
]
content = {
    "info": {},
    "licenses": [],
    "images": [{"id": 1, "file_name": "a.jpg", "width": 20, "height": 20}],
    "categories": categories,
    "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": segments}],
}
Path("set/annotations/panoptic_val.json").write_text(json.dumps(content))

Dataset.import_from("set", "coco_panoptic").export("again", "coco_panoptic", save_media=True)

def looked_at(folder):
    (listed,) = Path(folder).rglob("panoptic*.json")
    (png,) = Path(folder).rglob("a.png")
    named = [(category["name"], category["isthing"]) for category in json.loads(listed.read_text())["categories"]]
    return named, np.unique(np.array(Image.open(png))[..., 0]).tolist()

(before, ids_before), (after, ids_after) = looked_at("set"), looked_at("again")
print("before:", before)
print("after: ", after)
print(f"segment ids in the PNG: before {ids_before}, after {ids_after}")
assert before == [("dog", 1), ("sky", 0)] and after == [("dog", 0), ("sky", 0)] and ids_before == ids_after == [1, 2]
EOF
