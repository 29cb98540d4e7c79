#!/usr/bin/env bash
# Package: mmdet 3.3.0 with mmengine 0.10.7, mmcv-lite 2.1.0, torch 2.11.0 (CPU is enough), Python 3.11.
#
# Behaviour: the Mask2Former configuration that mmdet ships (mask2former_r50_8xb2-lsj-50e_coco-panoptic) pads every
# TRAINING batch to 1024 x 1024, images and masks alike, whatever size the pipeline gives: the size stands a second time
# in data_preprocessor.batch_augments. In testing nothing is padded so, and pad_size_divisor is 32.
#
# Guess that missed: a batch is padded to its largest image, to a multiple of 32; smaller images make it faster.
#
# Seen (two images of 64 x 64):
#   training: (2, 3, 1024, 1024), 256 times the pixels; masks (1, 1024, 1024)
#   testing:  (2, 3, 64, 64)
#   training without batch_augments: (2, 3, 64, 64)
#
# Why it matters: who makes the pipeline's crop smaller, to try an idea or to fit a small GPU, saves neither time nor
# memory, and 99.6 per cent of what the network sees in training is padding; in testing it sees none.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile \
  torch==2.11.0 torchvision==0.26.0 mmengine==0.10.7 mmcv-lite==2.1.0 mmdet==3.3.0 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - 2>/dev/null <<'EOF'
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType


def missing(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda *args, **kwargs: None


module = ModuleType("mmcv._ext")  # mmcv-lite has no compiled operators, and none is called here
module.__spec__ = ModuleSpec("mmcv._ext", None)
module.__getattr__ = missing
sys.modules["mmcv._ext"] = module

import mmdet.models  # noqa: F401
import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.structures import InstanceData, PixelData

configs = Path(mmdet.__file__).parent / ".mim" / "configs" / "mask2former"
options = Config.fromfile(configs / "mask2former_r50_8xb2-lsj-50e_coco-panoptic.py").model.data_preprocessor


def batch():
    samples = []
    for _ in range(2):
        sample = DetDataSample(metainfo={"img_shape": (64, 64), "ori_shape": (64, 64)})
        masks = BitmapMasks(np.ones((1, 64, 64), np.uint8), 64, 64)
        boxes = torch.tensor([[0.0, 0.0, 64.0, 64.0]])
        sample.gt_instances = InstanceData(labels=torch.zeros(1, dtype=torch.long), masks=masks, bboxes=boxes)
        sample.gt_sem_seg = PixelData(sem_seg=torch.zeros(1, 64, 64, dtype=torch.long))
        samples.append(sample)
    return {"inputs": [torch.zeros(3, 64, 64, dtype=torch.uint8)] * 2, "data_samples": samples}


def prepared(options, training):
    with torch.no_grad():
        found = MODELS.build(options)(batch(), training)
    return tuple(found["inputs"].shape), found["data_samples"][0].gt_instances.masks.masks.shape


shape, masks = prepared(options, True)
print(f"training: {shape}, {shape[2] * shape[3] // 64 ** 2} times the pixels; masks {masks}")
tested, _ = prepared(options, False)
print(f"testing:  {tested}")
without, _ = prepared(dict(options) | {"batch_augments": None}, True)
print(f"training without batch_augments: {without}")
assert shape == (2, 3, 1024, 1024) and masks == (1, 1024, 1024) and tested == without == (2, 3, 64, 64)
EOF
