#!/usr/bin/env bash
# Package: transformers 5.24.0 (with torch 2.11.0, torchvision 0.26.0 and pillow 13.0.0), Python 3.11.
#
# Behaviour: with do_reduce_labels=True and ignore_index=255, the processors of MaskFormer and Mask2Former lower every
# label by one, 255 too: pixels that were void become class 254, with a mask of their own, and only 0 is left out.
# SegFormer's and BEiT's processors, with the same option and the same map, leave 255 what it is.
#
# Guess that missed: 255 in the map is ignored, since ignore_index is 255, whether labels are lowered or not.
#
# Seen (0 background, 1 and 20 objects, 255 their border):
#   Mask2Former: classes [0, 19, 254]
#   MaskFormer:  classes [0, 19, 254]
#   Segformer:   classes [0, 19], ignored pixels of the border 512
#   Beit:        classes [0, 19], ignored pixels of the border 512
#   Mask2Former, labels not lowered: classes [0, 1, 20]
#
# Why it matters: Pascal VOC's maps have both, a background 0 that is left out in zero-shot work and a border of 255.
# With fewer classes the loss fails on label 254, far from the cause; a vocabulary of more learns to find the borders.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile \
  torch==2.11.0 torchvision==0.26.0 transformers==5.24.0 pillow==13.0.0
cd "$folder"
HF_HUB_OFFLINE=1 venv/bin/python -W ignore - 2>/dev/null <<'PY'
import numpy as np
import transformers
from PIL import Image

image = Image.new("RGB", (64, 64))
labels = np.zeros((64, 64), np.uint8)
labels[:16], labels[16:32], labels[32:40] = 1, 20, 255


def processed(name, **options):
    processor = getattr(transformers, f"{name}ImageProcessor")(do_resize=False, **options)
    return processor(image, labels, return_tensors="pt")


def classes(name, **options):
    return processed(name, ignore_index=255, **options)["class_labels"][0].tolist()


for name in ("Mask2Former", "MaskFormer"):
    lowered = classes(name, do_reduce_labels=True)
    print(f"{name}:".ljust(12), "classes", lowered)
    assert lowered == [0, 19, 254]
for name in ("Segformer", "Beit"):
    options = {"do_center_crop": False} if name == "Beit" else {}
    lowered = np.asarray(processed(name, do_reduce_labels=True, **options)["labels"][0])
    ignored = int((lowered[32:40] == 255).sum())
    left = np.unique(lowered[lowered != 255]).tolist()
    print(f"{name}:".ljust(12), f"classes {left}, ignored pixels of the border {ignored}")
    assert ignored == 512 and set(np.unique(lowered)) == {0, 19, 255}
kept = classes("Mask2Former", do_reduce_labels=False)
print("Mask2Former, labels not lowered: classes", kept)
assert kept == [0, 1, 20]
PY
