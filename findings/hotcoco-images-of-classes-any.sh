#!/usr/bin/env bash
# Package: hotcoco 1.3.0 beside pycocotools 2.0.11 (with numpy 2.4.6), Python 3.11.
#
# Behaviour: hotcoco offers pycocotools' class and method names as a replacement, but getImgIds(catIds=[a, b]) gives
# images with ANY of the classes, where pycocotools gives images with ALL of them.
#
# Guess that missed: the same call on the same file selects the same images in both.
#
# Seen (image 1 holds dog, image 2 cat, image 3 both):
#   getImgIds(catIds=[dog])      pycocotools [1, 3]   hotcoco [1, 3]
#   getImgIds(catIds=[dog, cat]) pycocotools [3]   hotcoco [1, 2, 3]
#
# Why it matters: zero-shot splits drop the images that hold an unseen class. Written for one of the two packages, the
# same line leaves unseen classes in the training images with the other, or drops images that should have stayed.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet hotcoco==1.3.0 pycocotools==2.0.11 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'EOF'
import contextlib
import io
import json

import hotcoco
import pycocotools.coco

holds = {1: [1], 2: [2], 3: [1, 2]}
annotations = [
    {"id": 10 * image + c, "image_id": image, "category_id": c, "bbox": [0, 0, 5, 5], "area": 25, "iscrowd": 0}
    for image, classes in holds.items() for c in classes
]
images = [{"id": i, "width": 10, "height": 10, "file_name": f"{i}.jpg"} for i in holds]
categories = [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}]
with open("set.json", "w") as file:
    json.dump({"images": images, "annotations": annotations, "categories": categories}, file)
with contextlib.redirect_stdout(io.StringIO()):
    old, new = pycocotools.coco.COCO("set.json"), hotcoco.COCO("set.json")
for label, ids in (("[dog])     ", [1]), ("[dog, cat])", [1, 2])):
    found = sorted(old.getImgIds(catIds=ids)), sorted(new.getImgIds(catIds=ids))
    print(f"getImgIds(catIds={label} pycocotools {found[0]}   hotcoco {found[1]}")
assert found == ([3], [1, 2, 3])
EOF
