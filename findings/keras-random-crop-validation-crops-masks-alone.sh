#!/usr/bin/env bash
# Package: keras 3.15.1 on jax 0.10.2 (with numpy 2.4.6), Python 3.11.
#
# Behaviour: outside training, keras.layers.RandomCrop gives images back as they are, at full size, and crops their
# segmentation_masks to the middle. The documentation says that inputs are resized and cropped to the target size then.
#
# Guess that missed: image and mask of one call keep the same size and show the same place, in training or not.
#
# Seen (an image of 40 x 64 with an object in columns 4 to 27, a crop of 32 x 32):
#   training:     image (32, 32) mask (32, 32), equal: True
#   not training: image (40, 64) mask (32, 32)
#   a prediction right in every pixel, resized to the mask: IoU 0.55
#
# Why it matters: code that resizes logits to the size of the labels, as segmentation models with strides do, scores
# another part of the image than the labels show, in validation and not in training.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile keras==3.15.1 jax==0.10.2 numpy==2.4.6
cd "$folder"
KERAS_HOME="$folder" KERAS_BACKEND=jax JAX_PLATFORMS=cpu venv/bin/python -W ignore - <<'PY'
import keras
import numpy as np

masks = np.zeros((1, 40, 64, 1), np.int32)
masks[:, 8:32, 4:28] = 1
images = masks.repeat(3, axis=-1).astype(np.float32)  # the object is the white of the image
crop = keras.layers.RandomCrop(32, 32, seed=1)


def cropped(training):
    both = crop({"images": images, "segmentation_masks": masks}, training=training)
    return np.asarray(both["images"])[0, ..., 0], np.asarray(both["segmentation_masks"])[0, ..., 0]


image, mask = cropped(training=True)
print("training:     image", image.shape, "mask", str(mask.shape) + ", equal:", np.array_equal(image, mask))
assert image.shape == (32, 32) and np.array_equal(image, mask)

image, mask = cropped(training=False)
print("not training: image", image.shape, "mask", mask.shape)
assert image.shape == (40, 64) and mask.shape == (32, 32)
rows, columns = (np.arange(32) * size // 32 for size in image.shape)
predicted, truth = image[rows][:, columns] > 0.5, mask > 0.5  # the network sees the white; nearest pixels
iou = (predicted & truth).sum() / (predicted | truth).sum()
print(f"a prediction right in every pixel, resized to the mask: IoU {iou:.2f}")
assert iou < 0.6
PY
