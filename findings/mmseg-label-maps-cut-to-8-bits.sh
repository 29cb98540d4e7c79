#!/usr/bin/env bash
# Package: mmsegmentation 1.2.2 with mmengine 0.10.7, mmcv-lite 2.1.0, torch 2.11.0, pillow 13.0.0, Python 3.11.
#
# Behaviour: LoadAnnotations reads a label map of 16 bits and keeps the lower 8 of each: class 300 becomes class 44, and
# 256 becomes 0. With both decoding backends, and without a warning. 65535, a usual void of 16 bits, becomes 255 and is
# ignored, and so are the pixels of class 511.
#
# Guess that missed: class ids that a PNG of 16 bits holds are read as they are, or refused.
#
# Seen:
#   in the file:    [0, 1, 44, 255, 256, 300, 511, 846, 65535]
#   read by pillow: uint8 [0, 1, 44, 255, 0, 44, 255, 78, 255]
#   read by cv2:    uint8 [0, 1, 44, 255, 0, 44, 255, 78, 255]
#
# Why it matters: vocabularies above 255 classes (ADE20K's full 847, LVIS' 1203) are stored so. The model is taught, and
# scored on, other classes' names; the loss falls and a mean IoU comes out.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.11.0 torchvision==0.26.0 \
  mmengine==0.10.7 mmcv-lite==2.1.0 mmsegmentation==1.2.2 mmdet==3.3.0 ftfy==6.3.1 regex pillow==13.0.0 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - 2>/dev/null <<'EOF'
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType


def missing(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda *args, **kwargs: None


module = ModuleType("mmcv._ext")  # mmcv-lite has no compiled operators, and none is called here
module.__spec__ = ModuleSpec("mmcv._ext", None)
module.__getattr__ = missing
sys.modules["mmcv._ext"] = module

import numpy as np
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image

ids = np.array([[0, 1, 44, 255, 256, 300, 511, 846, 65535]] * 2, np.uint16)
Image.fromarray(ids).save("labels.png")
assert np.array_equal(np.array(Image.open("labels.png")), ids)
print("in the file:   ", ids[0].tolist())
for backend in ("pillow", "cv2"):
    wanted = {"seg_map_path": "labels.png", "reduce_zero_label": False, "seg_fields": []}
    read = LoadAnnotations(imdecode_backend=backend)(wanted)["gt_seg_map"]
    print(f"read by {backend}:".ljust(15), read.dtype, read[0].tolist())
    assert read.dtype == np.uint8 and np.array_equal(read, ids % 256)
EOF
