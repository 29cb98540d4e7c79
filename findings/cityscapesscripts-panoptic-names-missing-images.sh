#!/usr/bin/env bash
# Package: cityscapesScripts 2.2.4 (with numpy 2.4.6 and Pillow 13.0.0), Python 3.11.
#
# Behaviour: csCreatePanopticImgs names images in its panoptic JSON that do not exist: the image's file name, with _gtFine
# put before _leftImg8bit, and without the folder of its city.
#
# Guess that missed: file_name leads to the image, as in COCO's panoptic JSON, from which the format is taken.
#
# Seen:
#   the image:          leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png
#   the JSON names:     aachen_000000_000019_gtFine_leftImg8bit.png
#   files of that name: 0
#
# Why it matters: a loader for COCO's format finds no image of Cityscapes, and each project writes a rule of its own.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet cityscapesScripts==2.2.4 numpy==2.4.6 pillow==13.0.0
cd "$folder"
venv/bin/python - <<'PYTHON'
from pathlib import Path

import numpy as np
from PIL import Image

for part in ("train", "val", "test"):
    for kind, suffix, pixels in (
        ("leftImg8bit", "leftImg8bit", np.zeros((4, 6, 3), np.uint8)),
        ("gtFine", "gtFine_instanceIds", np.full((4, 6), 7, np.uint16)),
    ):
        path = Path("cityscapes", kind, part, "aachen", f"aachen_000000_000019_{suffix}.png")
        path.parent.mkdir(parents=True)
        Image.fromarray(pixels).save(path)
PYTHON
CITYSCAPES_DATASET=cityscapes venv/bin/csCreatePanopticImgs > /dev/null
venv/bin/python - <<'PYTHON'
import json
from pathlib import Path

content = json.loads(Path("cityscapes/gtFine/cityscapes_panoptic_train.json").read_text())
(name,) = (image["file_name"] for image in content["images"])
(image,) = Path("cityscapes/leftImg8bit/train").rglob("*.png")
found = list(Path("cityscapes/leftImg8bit").rglob(name))
print(f"the image:          {image.relative_to('cityscapes')}")
print(f"the JSON names:     {name}")
print(f"files of that name: {len(found)}")
assert name == "aachen_000000_000019_gtFine_leftImg8bit.png" and not found
PYTHON
