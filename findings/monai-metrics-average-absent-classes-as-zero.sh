#!/usr/bin/env bash
# Package: monai 1.6.1 (with torch 2.11.0, CPU is enough), Python 3.11.
#
# Behaviour: a class that is in no image at all gets 0 from DiceMetric and MeanIoU with reduction="mean_batch" (a value
# for each class), the same as a class that is always wrong, and 0 from PanopticQualityMetric. The documentation speaks
# of a reduction over values that are not nan; of a class that has none, it says nothing. With reduction="mean" such
# classes are left out.
#
# Guess that missed: a class without a value is nan in a list of classes, so that a mean can leave it out.
#
# Seen (10 classes, of which the images have two; every pixel is predicted right):
#   DiceMetric  "mean" 1.00   "mean_batch" [1, 1, 0, 0, 0, 0, 0, 0, 0, 0], mean 0.20
#   MeanIoU     "mean" 1.00   "mean_batch" [1, 1, 0, 0, 0, 0, 0, 0, 0, 0], mean 0.20
#   PanopticQualityMetric     [1, 1, 0, 0, 0, 0, 0, 0, 0, 0], mean 0.20
#
# Why it matters: validation sets seldom have every class of a large vocabulary. The mean over a table of classes falls
# with the classes that are not there, and in the table they look like failures. Mean IoU and panoptic quality elsewhere
# leave them out.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.11.0 monai==1.6.1 scipy==1.17.1 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - <<'PY'
import torch
from monai.metrics import DiceMetric, MeanIoU, PanopticQualityMetric
from monai.networks.utils import one_hot

CLASSES = 10
semantic = torch.zeros(2, 1, 16, 16, dtype=torch.long)  # two images, whose upper half is class 1
semantic[:, :, :8] = 1


def as_text(values):
    return f"[{', '.join(f'{value:.0f}' for value in values)}], mean {values.mean():.2f}"


expected = [1.0, 1.0] + [0.0] * (CLASSES - 2)
for metric in (DiceMetric, MeanIoU):
    measure = metric(include_background=True)
    measure(one_hot(semantic, CLASSES), one_hot(semantic, CLASSES))
    mean, classes = measure.aggregate("mean"), measure.aggregate("mean_batch")
    print(f'{metric.__name__:<11} "mean" {mean.item():.2f}   "mean_batch" {as_text(classes)}')
    assert mean.item() == 1 and classes.tolist() == expected
instances = semantic + 1  # a segment of each class; classes are numbered from 1 here, 0 is the background
measure = PanopticQualityMetric(num_classes=CLASSES)
maps = torch.cat([instances, semantic + 1], dim=1)
measure(maps, maps)
classes = measure.aggregate()
print(f"PanopticQualityMetric     {as_text(classes)}")
assert classes.round(decimals=3).tolist() == expected
PY
