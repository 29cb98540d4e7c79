#!/usr/bin/env bash
# Package: torchmetrics 1.9.0 (with torch 2.11.0 and torchvision 0.26.0), Python 3.11.
#
# Behaviour: PanopticQuality takes pixels that the PREDICTION leaves without a segment out of the union, as if the truth
# had no segment there. A prediction that covers a fifth of an object and leaves the rest void finds it with IoU 1. By the
# definition of panoptic quality, and in COCO's evaluation, only the truth's void pixels are left out.
#
# Guess that missed: void in the prediction is part of the object that was missed.
#
# Seen (an object of 50 pixels beside stuff of 50, which is predicted right):
#   predicted pixels of the object   torchmetrics PQ   by the definition
#   50 of 50                         1.000             1.000
#   30 of 50                         1.000             0.800
#   10 of 50                         1.000             0.500
#
# Why it matters: models with an object threshold, and zero-shot models above all, leave much void. This metric does not
# charge them for it; the threshold that looks best in it is one that keeps little.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.11.0 torchvision==0.26.0 torchmetrics==1.9.0
cd "$folder"
venv/bin/python -W ignore - <<'EOF'
import torch
from torchmetrics.detection import PanopticQuality

VOID = 9  # neither a thing nor stuff
truth = torch.zeros(1, 10, 10, 2, dtype=torch.long)
truth[0, :, :5, 1] = 1
truth[0, :, 5:, 0] = 1


def measured(prediction):
    metric = PanopticQuality(things={0}, stuffs={1}, allow_unknown_preds_category=True)
    return float(metric(prediction, truth))


def defined(prediction):
    scores = []
    for class_id in (0, 1):  # one segment of each class, in truth and in prediction
        true, predicted = truth[..., 0] == class_id, prediction[..., 0] == class_id
        iou = float((true & predicted).sum() / (true | predicted).sum())  # no void in the truth
        scores.append(iou if iou > 0.5 else 0.0)
    return sum(scores) / 2


print("predicted pixels of the object   torchmetrics PQ   by the definition")
for rows, expected in ((10, 1.0), (6, 0.8), (2, 0.5)):
    prediction = truth.clone()
    prediction[0, rows:, :5] = torch.tensor([VOID, 0])
    found, right = measured(prediction), defined(prediction)
    print(f"{5 * rows} of 50                         {found:.3f}             {right:.3f}")
    assert found == 1.0 and abs(right - expected) < 1e-6
EOF
