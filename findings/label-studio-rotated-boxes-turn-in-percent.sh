#!/usr/bin/env bash
# Package: label-studio-sdk 2.1.2 (with pillow 13.0.0), Python 3.11.
#
# Behaviour: Label Studio keeps a rotated rectangle as corner, width and height in per cent of the image, and an angle.
# The converter's COCO export turns the rectangle in per cent and makes pixels of the result. Per cent of the width and
# of the height are of different lengths unless the image is square, so that the box gets a wrong shape and place.
#
# Guess that missed: the exported box is the smallest one around the rotated rectangle.
#
# Seen (a rectangle of 40 x 20 pixels, turned by 90 degrees around its corner at 200, 40; boxes as COCO's):
#   image       exported            around the rectangle   IoU
#   400 x 400   [180, 40, 20, 40]   [180, 40, 20, 40]      1.00
#   400 x 200   [160, 40, 40, 20]   [180, 40, 20, 40]      0.33
#   400 x 100   [120, 40, 80, 10]   [180, 40, 20, 40]      0.14
#
# Why it matters: photographs are not square. Boxes that were drawn well train a detector wrongly, and as prompts of a
# segmentation model they select the wrong object.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile label-studio-sdk==2.1.2 pillow==13.0.0
cd "$folder"
venv/bin/python -W ignore - 2>/dev/null <<'PY'
import json
from pathlib import Path

from label_studio_sdk.converter import Converter
from PIL import Image

CONFIG = """<View><Image name="image" value="$image"/>
<RectangleLabels name="box" toName="image"><Label value="car"/></RectangleLabels></View>"""
X, Y, LONG, SHORT = 200, 40, 40, 20  # the corner and the sides, in pixels
AROUND = [X - SHORT, Y, SHORT, LONG]  # by 90 degrees around the corner: to the left of it, and down


def iou(first, second):
    sides = [
        max(0, min(first[k] + first[k + 2], second[k] + second[k + 2]) - max(first[k], second[k])) for k in (0, 1)
    ]
    both = sides[0] * sides[1]
    return both / (first[2] * first[3] + second[2] * second[3] - both)


print("image       exported            around the rectangle   IoU")
measured = []
for height in (400, 200, 100):
    width = 400
    Image.new("RGB", (width, height)).save("a.png")
    value = {
        "x": 100 * X / width,
        "y": 100 * Y / height,
        "width": 100 * LONG / width,
        "height": 100 * SHORT / height,
        "rotation": 90,
        "rectanglelabels": ["car"],
    }
    region = {"from_name": "box", "to_name": "image", "type": "rectanglelabels", "value": value}
    region |= {"id": "r", "original_width": width, "original_height": height, "image_rotation": 0}
    annotation = {"id": 1, "completed_by": 1, "result": [region]}
    task = {"id": 1, "data": {"image": str(Path("a.png").resolve())}, "annotations": [annotation]}
    Path("tasks.json").write_text(json.dumps([task]))
    converter = Converter(CONFIG, project_dir=".", download_resources=False)
    converter.convert_to_coco("tasks.json", "coco", is_dir=False)
    (item,) = json.loads(Path("coco/result.json").read_text())["annotations"]
    box = [round(side) for side in item["bbox"]]
    measured.append(round(iou(box, AROUND), 2))
    print(f"{width} x {height}   {box}   {AROUND}      {measured[-1]:.2f}")
assert measured == [1.0, 0.33, 0.14]
PY
