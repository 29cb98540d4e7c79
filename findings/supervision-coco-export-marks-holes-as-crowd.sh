#!/usr/bin/env bash
# Package: supervision 0.31.2 (with pycocotools 2.0.11, opencv-python-headless 5.0.0.93, numpy 2.4.6), Python 3.11.
#
# Behaviour: DetectionDataset.as_coco sets iscrowd to 1 for one single object whose mask has a hole or two parts. In
# COCO's format that means a group nobody counted, so pycocotools takes it out of the evaluation: never found, never
# missed.
#
# Guess that missed: one detection is one object, with iscrowd 0; a mask with a hole as RLE is allowed with either value.
#
# Seen:
#   solid square: iscrowd 0, objects that the evaluation counts: 1
#   ring: iscrowd 1, objects that the evaluation counts: 0
#   two parts behind a pole: iscrowd 1, objects that the evaluation counts: 0
#   mask AP of a perfect prediction of the ring: -1 (nothing to find)
#
# Why it matters: cups with handles, bicycles, and everything partly hidden drops out of average precision, and panoptic
# quality treats such segments as crowd too: the hardest objects silently stop to count.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet \
  supervision==0.31.2 pycocotools==2.0.11 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'EOF'
import contextlib
import io

import cv2
import numpy as np
import supervision as sv
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

def drawn(*boxes, hole=None):
    mask = np.zeros((60, 60), bool)
    for top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = True
    if hole is not None:
        mask[slice(*hole), slice(*hole)] = False
    return mask

def evaluated(mask):
    cv2.imwrite("a.png", np.zeros((60, 60, 3), np.uint8))
    found = sv.Detections(xyxy=sv.mask_to_xyxy(mask[None]), mask=mask[None], class_id=np.array([0]))
    written = sv.DetectionDataset(classes=["x"], images=["a.png"], annotations={"a.png": found})
    written.as_coco(images_directory_path="images", annotations_path="set.json")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO("set.json")
        (annotation,) = coco.loadAnns(coco.getAnnIds())
        prediction = {key: annotation[key] for key in ("image_id", "category_id")}
        prediction |= {"segmentation": rle.encode(np.asfortranarray(mask.astype(np.uint8))), "score": 0.9}
        evaluation = COCOeval(coco, coco.loadRes([prediction]), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    counted = sum(int((image["gtIgnore"] == 0).sum()) for image in evaluation.evalImgs[:1])
    return annotation["iscrowd"], counted, float(evaluation.stats[0])

shapes = {
    "solid square": drawn((10, 50, 10, 50)),
    "ring": drawn((10, 50, 10, 50), hole=(20, 40)),
    "two parts behind a pole": drawn((10, 50, 10, 28), (10, 50, 32, 50)),
}
results = {name: evaluated(mask) for name, mask in shapes.items()}
for name, (crowd, counted, _) in results.items():
    print(f"{name}: iscrowd {crowd}, objects that the evaluation counts: {counted}")
print(f"mask AP of a perfect prediction of the ring: {results['ring'][2]:.0f} (nothing to find)")
assert results["solid square"][:2] == (0, 1)
assert results["ring"] == results["two parts behind a pole"] == (1, 0, -1.0)
EOF
