#!/usr/bin/env bash
# Package: miseval 1.3.0 (with numpy 2.4.6), Python 3.11.
#
# Behaviour: of a class that neither truth nor prediction holds, miseval's Dice (DSC) is 1 and its IoU, precision and
# sensitivity are 0, in one call after another on the same maps. Of every class that occurs, the two have the usual
# relation, Dice = 2 IoU / (1 + IoU). The README names the metrics, and not what absent classes get.
#
# Guess that missed: an absent class has no score (nan), and the same one in two metrics that follow from each other.
#
# Seen (10 classes, the image holds 0 and 1):
#                          DSC mean   IoU mean   SENS mean
#   every pixel is right   1.00       0.20       0.20
#   every pixel is wrong   0.80       0.00       0.00
#
# Why it matters: an image of a large vocabulary holds a few classes. In means over classes, Dice is then near 1 for any
# model and IoU near 0 for any: a model that is wrong in every pixel has a higher Dice than a perfect one has IoU.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile miseval==1.3.0 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - <<'PY'
import numpy as np
from miseval import evaluate

truth = np.zeros((10, 10), int)
truth[:5] = 1
print("                       DSC mean   IoU mean   SENS mean")
means = []
for name, prediction in (("every pixel is right", truth), ("every pixel is wrong", 1 - truth)):
    scores = [evaluate(truth, prediction, metric=m, multi_class=True, n_classes=10) for m in ("DSC", "IoU", "SENS")]
    means.append([round(float(np.mean(score)), 2) for score in scores])
    print("{}   {:.2f}       {:.2f}       {:.2f}".format(name, *means[-1]))
    for score, absent in zip(scores, (1, 0, 0)):
        assert (np.asarray(score)[2:] == absent).all()
assert means == [[1.0, 0.2, 0.2], [0.8, 0.0, 0.0]]
PY
