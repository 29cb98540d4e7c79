#!/usr/bin/env bash
# Package: torchmetrics 1.9.0 (with torch 2.11.0), Python 3.11.
#
# Behaviour: torchmetrics.segmentation.MeanIoU is not the mean IoU of the field, which sums intersections and unions
# over the dataset. It takes an IoU in each image and averages those, over the images in which truth or prediction has
# the class. With per_class=False every class of every image counts once, so that frequent classes count more, and the
# result is not the mean of what per_class=True gives. JaccardIndex, of the same package, is the mean IoU of the
# dataset. The documentation of MeanIoU speaks of a mean over all classes, and of images not at all.
#
# Guess that missed: a metric that is updated image by image gives the mean IoU that papers report.
#
# Seen (10 images; class 0 is in all, class 1 in half of the first):
#   one image of class 1 right, one stray pixel of it in each of the others:
#     JaccardIndex 0.92 [0.99, 0.85]
#     MeanIoU 0.55 [0.99, 0.10]
#   class 1 never predicted:
#     JaccardIndex 0.47 [0.95, 0.00]
#     MeanIoU 0.86 [0.95, 0.00]
#
# Why it matters: figures of this metric cannot be compared with published ones: it can be far lower or far higher. A
# model that never finds the rare classes scores 0.86 here; in zero-shot segmentation those are what it is about.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.11.0 torchmetrics==1.9.0 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - <<'PY'
import torch
from torchmetrics import JaccardIndex
from torchmetrics.segmentation import MeanIoU

truth = torch.zeros(10, 10, 10, dtype=torch.long)
truth[0, :5] = 1
stray = truth.clone()
stray[1:, 0, 0] = 1
never = torch.zeros_like(truth)


def measured(prediction):
    metrics = [
        JaccardIndex(task="multiclass", num_classes=2),
        JaccardIndex(task="multiclass", num_classes=2, average=None),
        MeanIoU(num_classes=2, input_format="index"),
        MeanIoU(num_classes=2, input_format="index", per_class=True),
    ]
    for image in range(len(truth)):
        for metric in metrics:
            metric.update(prediction[image : image + 1], truth[image : image + 1])
    return [metric.compute().tolist() for metric in metrics]


for name, prediction in (
    ("one image of class 1 right, one stray pixel of it in each of the others:", stray),
    ("class 1 never predicted:", never),
):
    jaccard, jaccard_classes, mean, mean_classes = measured(prediction)
    union = ((prediction == 1) | (truth == 1)).sum()
    dataset = float(((prediction == 1) & (truth == 1)).sum() / union)  # of class 1
    print(name)
    for text, score, classes in (("JaccardIndex", jaccard, jaccard_classes), ("MeanIoU", mean, mean_classes)):
        print(f"  {text} {score:.2f} [" + ", ".join(f"{value:.2f}" for value in classes) + "]")
    assert abs(jaccard_classes[1] - dataset) < 1e-6 and abs(jaccard - mean) > 0.3
    if prediction is stray:
        assert abs(mean_classes[1] - 0.1) < 1e-6
    else:
        assert abs(mean - sum(mean_classes) / 2) > 0.3
PY
