#!/usr/bin/env bash
# Package: transformers 5.24.0 (with torch 2.11.0, torchvision 0.26.0 and pillow 13.0.0), Python 3.11.
#
# Behaviour: the processors of MaskFormer and Mask2Former pad the images of a batch to one size, and return where the
# padding is (pixel_mask). Their post-processing does not take the padding off again: it resizes the padded mask to the
# image's size, so that a mask of a landscape image that was in a batch with a portrait one comes out squeezed. A target
# size for each image can be given and pixel_mask cannot. The docstrings do not mention padding.
#
# Guess that missed: with the right target_sizes, an image has the same masks alone and in a batch.
#
# Seen (a landscape image of 96 x 48 pixels and a portrait one of 48 x 96; the logits are those of a perfect network):
#   Mask2Former instance, alone:    IoU 1.00, 1.00
#   Mask2Former instance, batch:    IoU 0.50, 0.50
#   Mask2Former semantic, batch:    IoU 0.50, 0.50
#   Mask2Former panoptic, batch:    IoU 0.50, 0.50
#   MaskFormer instance, alone:     IoU 1.00, 1.00
#   MaskFormer instance, batch:     IoU 0.50, 0.50
#   MaskFormer semantic, batch:     IoU 0.50, 0.50
#   MaskFormer panoptic, batch:     IoU 0.50, 0.50
#
# Why it matters: with a batch size above 1 on images of several shapes, as those of COCO and ADE20K are, every mask is
# stretched and moved. All scores fall with the batch size, and the model gets the blame.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile \
  torch==2.11.0 torchvision==0.26.0 transformers==5.24.0 pillow==13.0.0
cd "$folder"
HF_HUB_OFFLINE=1 venv/bin/python -W ignore - 2>/dev/null <<'PY'
from types import SimpleNamespace

import torch
from PIL import Image
from transformers import Mask2FormerImageProcessor, MaskFormerImageProcessor

sizes = [(48, 96), (96, 48)]  # height, width
objects = []  # the half of each image that is the object: right, and lower
for height, width in sizes:
    truth = torch.zeros(height, width, dtype=torch.bool)
    truth[height - 48 :, width - 48 :] = True
    objects.append(truth)


def overlaps(processor, kind, chosen):
    images = [Image.new("RGB", sizes[i][::-1]) for i in chosen]
    inside = processor(images, return_tensors="pt")["pixel_mask"].bool()
    masks = torch.full((len(chosen), 2, *inside.shape[1:]), -10.0)
    for row, i in enumerate(chosen):
        height, width = sizes[i]
        assert int(inside[row].sum()) == height * width and inside[row, :height, :width].all()
        masks[row, 0, :height, :width][objects[i]] = 10.0
        masks[row, 1] = -masks[row, 0]
    classes = torch.full((len(chosen), 2, 3), -10.0)  # two classes and "no object"
    classes[:, 0, 0] = classes[:, 1, 1] = 10.0
    outputs = SimpleNamespace(class_queries_logits=classes, masks_queries_logits=masks)
    results = getattr(processor, f"post_process_{kind}_segmentation")(outputs, target_sizes=[sizes[i] for i in chosen])
    ious = []
    for i, result in zip(chosen, results):
        if kind == "semantic":
            found = result == 0
        else:
            (segment,) = [s["id"] for s in result["segments_info"] if s["label_id"] == 0]
            found = result["segmentation"] == segment
        assert found.shape == objects[i].shape
        ious.append(float((found & objects[i]).sum() / (found | objects[i]).sum()))
    return ious


for name, processor in (
    ("Mask2Former", Mask2FormerImageProcessor(do_resize=False)),
    ("MaskFormer", MaskFormerImageProcessor(do_resize=False)),
):
    alone = [overlaps(processor, "instance", [i])[0] for i in (0, 1)]
    print(f"{name} instance, alone:".ljust(31), "IoU", ", ".join(f"{iou:.2f}" for iou in alone))
    assert min(alone) > 0.99
    for kind in ("instance", "semantic", "panoptic"):
        batch = overlaps(processor, kind, [0, 1])
        print(f"{name} {kind}, batch:".ljust(31), "IoU", ", ".join(f"{iou:.2f}" for iou in batch))
        assert max(batch) < 0.55
PY
