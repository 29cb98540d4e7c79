#!/usr/bin/env bash
# Package: transformers 5.24.0 (with torch 2.11.0 and torchvision 0.26.0), Python 3.11.
#
# Behaviour: with label_ids_to_fuse, Mask2Former's post_process_panoptic_segmentation lists a stuff segment once for each
# of its parts, and the segment after a fused part gets an id that another segment has: ids count on from the fused one.
# EoMT's processor, which fuses too, gives each segment an id of its own.
#
# Guess that missed: an id in segments_info names one segment, and the pixels of an id are of one class.
#
# Seen (grass, cat, grass, dog; grass is fused):
#   Mask2Former: ids [1, 2, 1, 2] for labels [3, 0, 3, 1]
#   EoMT:        ids [0, 1, 2] for labels [3, 0, 1]
#
# Why it matters: cat and dog are one segment in the image. panopticapi takes the class that is listed last, so that the
# cat is missed, and the dog has too many pixels to match. Nothing says so.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile \
  torch==2.11.0 torchvision==0.26.0 transformers==5.24.0 pillow==13.0.0
cd "$folder"
HF_HUB_OFFLINE=1 venv/bin/python -W ignore - 2>/dev/null <<'EOF'
from types import SimpleNamespace

import torch
from transformers import EomtImageProcessor, Mask2FormerImageProcessor

labels = [3, 0, 3, 1]  # of four classes
classes = torch.full((1, 4, 5), -10.0)
masks = torch.full((1, 4, 96, 96), -10.0)
for query, label in enumerate(labels):
    classes[0, query, label] = 10.0
    masks[0, query, :, 24 * query : 24 * query + 24] = 12.0
outputs = SimpleNamespace(class_queries_logits=classes, masks_queries_logits=masks)


def listed(processor, **options):
    (found,) = processor.post_process_panoptic_segmentation(outputs, target_sizes=[(96, 96)], **options)
    return [[segment[key] for segment in found["segments_info"]] for key in ("id", "label_id")]


fused = listed(Mask2FormerImageProcessor(), label_ids_to_fuse={3})
eomt = listed(EomtImageProcessor(), stuff_classes=[3])
print(f"Mask2Former: ids {fused[0]} for labels {fused[1]}")
print(f"EoMT:        ids {eomt[0]} for labels {eomt[1]}")
assert fused == [[1, 2, 1, 2], labels] and len(set(eomt[0])) == len(eomt[0]) == 3
EOF
