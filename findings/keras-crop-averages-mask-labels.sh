#!/usr/bin/env bash
# Package: keras 3.15.1 on jax 0.10.2 (with numpy 2.4.6), Python 3.11.
#
# Behaviour: keras.layers.RandomCrop and CenterCrop resize an image that is smaller than the crop, and resize its
# segmentation_masks in the same way, bilinearly: class numbers are averaged along every border, void (255) too. The
# Resizing layer takes the nearest pixel of a mask. That small images are resized is documented; how masks are is not.
#
# Guess that missed: a mask that went through a layer of Keras has only labels that it had before.
#
# Seen (labels 0, 4 and 255 in a mask of 40 x 62 pixels):
#   Resizing to 48:   [0, 4, 255]
#   RandomCrop of 32: no other label
#   RandomCrop of 48: 2 others: 1.0, 150.4
#   CenterCrop of 32: no other label
#   CenterCrop of 48: 2 others: 1.0, 150.4
#
# Why it matters: where sizes vary, some images are smaller than the crop. Rounded to integers, the border
# between class 4 and void becomes a line of class 150, and that between 0 and 4 one of class 1: both are trained on.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile keras==3.15.1 jax==0.10.2 numpy==2.4.6
cd "$folder"
KERAS_HOME="$folder" KERAS_BACKEND=jax JAX_PLATFORMS=cpu venv/bin/python -W ignore - <<'PY'
import keras
import numpy as np

KNOWN = (0, 4, 255)
images = np.zeros((1, 40, 62, 3), np.float32)
masks = np.zeros((1, 40, 62, 1), np.int32)
masks[:, 14:27], masks[:, 27:] = KNOWN[1:]
layers = keras.layers


def labels(layer):
    given = {"images": images, "segmentation_masks": masks}
    return np.unique(np.asarray(layer(given, training=True)["segmentation_masks"])).tolist()


resized = labels(layers.Resizing(48, 48))
print("Resizing to 48:  ", resized)
assert resized == list(KNOWN)
for layer in (layers.RandomCrop, layers.CenterCrop):
    for size, averaged in ((32, False), (48, True)):
        others = [x for x in labels(layer(size, size)) if min(abs(x - known) for known in KNOWN) > 0.01]
        text = f"{len(others)} others: " + ", ".join(f"{x:.1f}" for x in others) if others else "no other label"
        print(f"{layer.__name__} of {size}:", text)
        assert bool(others) == averaged
PY
