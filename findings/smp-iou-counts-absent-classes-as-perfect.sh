#!/usr/bin/env bash
# Package: segmentation-models-pytorch 0.6.0 (with torch 2.11.0, torchvision 0.26.0), Python 3.11.
#
# Behaviour: iou_score(..., reduction="macro") counts a class that neither truth nor prediction holds as perfect: IoU 1,
# and takes it into the mean. "macro-imagewise" does so image by image.
#
# Guess that missed: the mean is over the classes that occur, as in other tools' mean IoU.
#
# Seen (20 classes; the image has two of them and every pixel is predicted wrong):
#   right pixels: 0 of 100
#   macro: 0.90   macro-imagewise: 0.90   micro: 0.00
#   mean over the classes that occur: 0.00
#
# Why it matters: with 150 or 171 classes an image holds a handful, so image-wise scores are mostly made of absent classes
# and near 1 for any model; on samples of a validation set "macro" is lifted the same way.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile \
  torch==2.11.0 torchvision==0.26.0 segmentation-models-pytorch==0.6.0
cd "$folder"
venv/bin/python -W ignore - <<'EOF'
import torch
from segmentation_models_pytorch.metrics import get_stats, iou_score

truth = torch.zeros(1, 10, 10, dtype=torch.long)
truth[:, :5] = 1
prediction = 1 - truth
print(f"right pixels: {int((prediction == truth).sum())} of {truth.numel()}")
counts = get_stats(prediction, truth, mode="multiclass", num_classes=20)
scores = {name: float(iou_score(*counts, reduction=name)) for name in ("macro", "macro-imagewise", "micro")}
print("   ".join(f"{name}: {score:.2f}" for name, score in scores.items()))
found, false, missed, _ = (count.sum(0) for count in counts)
union = found + false + missed
occurring = float((found[union > 0] / union[union > 0]).mean())
print(f"mean over the classes that occur: {occurring:.2f}")
assert round(scores["macro"], 2) == round(scores["macro-imagewise"], 2) == 0.9 and scores["micro"] == occurring == 0
EOF
