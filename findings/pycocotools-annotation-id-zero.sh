#!/usr/bin/env bash
# Package: pycocotools 2.0.11 (with numpy 2.4.6), Python 3.11.
#
# Behaviour: in COCOeval, a ground truth annotation whose id is 0 can never be found: the id of the match is also the
# sign for "no match" where it is 0. A prediction that equals it counts as wrong, and the object as missed.
#
# Guess that missed: ids are only names, and a perfect prediction has AP 1 whichever numbers they are.
#
# Seen (the same two objects and the same perfect masks, annotation ids alone differ):
#   ids [1, 2]: mask AP 1.000, AR 1.000
#   ids [0, 1]: mask AP 0.252, AR 0.500
#
# Why it matters: annotation files that a script numbers from 0 (enumerate) are valid JSON of the format and load
# without a warning, but one object of the whole set is lost; on small sets and per class that is seen in the scores.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pycocotools==2.0.11 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'EOF'
import contextlib
import io

import numpy as np
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

def evaluated(ids):
    truth, predictions = [], []
    for place, annotation_id in enumerate(ids):
        mask = np.zeros((40, 100), np.uint8, order="F")
        mask[5:35, 50 * place + 5 : 50 * place + 45] = 1
        code = rle.encode(mask)
        shared = {"image_id": 1, "category_id": 1, "segmentation": code, "bbox": rle.toBbox(code).tolist()}
        truth.append(shared | {"id": annotation_id, "area": int(mask.sum()), "iscrowd": 0})
        predictions.append(shared | {"score": 0.9 - 0.1 * place})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        images = [{"id": 1, "width": 100, "height": 40, "file_name": "a.jpg"}]
        coco.dataset = {"info": {}, "images": images, "categories": [{"id": 1, "name": "x"}], "annotations": truth}
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(predictions), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0]), float(evaluation.stats[8])

results = {}
for ids in ([1, 2], [0, 1]):
    results[ids[0]] = ap, ar = evaluated(ids)
    print(f"ids {ids}: mask AP {ap:.3f}, AR {ar:.3f}")
assert results[1] == (1.0, 1.0) and abs(results[0][0] - 0.252) < 0.001 and results[0][1] == 0.5
EOF
