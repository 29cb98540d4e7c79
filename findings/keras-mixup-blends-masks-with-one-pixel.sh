#!/usr/bin/env bash
# Package: keras 3.15.1 on jax 0.10.2 (with numpy 2.4.6; on torch 2.11.0 masks go wrong too), Python 3.11.
#
# Behaviour: keras.layers.MixUp takes segmentation_masks beside images and labels, but blends a mask with single pixels
# of the batch instead of with the mask of its partner: the partners are looked up in the flattened batch, where numbers
# 0 and 1 are the first two pixels of the first mask. Masks of one channel come out with a channel for each image of the
# batch; one-hot masks of as many classes as there are images keep their shape. Other numbers of classes raise an error.
#
# Guess that missed: masks are blended with the same partners and weights as images and labels.
#
# Seen (two images; the first is all class 0 and has values 0, the second all class 1 and has values 1):
#   one channel: given (2, 8, 8, 1) returned (2, 8, 8, 2)
#     class 1 in the images 0.17 0.62, in the labels 0.17 0.62, in the masks 0.00 0.62
#   one-hot:     given (2, 8, 8, 2) returned (2, 8, 8, 2)
#     class 1 in the images 0.17 0.62, in the labels 0.17 0.62, in the masks 0.17 1.00
#
# Why it matters: two classes and a batch of two, or a loss that broadcasts channels, train without a complaint on masks
# that do not belong to the blended images.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile keras==3.15.1 jax==0.10.2 numpy==2.4.6
cd "$folder"
KERAS_HOME="$folder" KERAS_BACKEND=jax JAX_PLATFORMS=cpu venv/bin/python -W ignore - <<'PY'
import keras
import numpy as np

images = np.zeros((2, 8, 8, 3), np.float32)
images[1] = 1.0
labels = np.eye(2, dtype=np.float32)
binary = images[..., :1]
one_hot = np.concatenate([1.0 - binary, binary], axis=-1)


def second_class(masks):  # the class-1 channel's one value in each image
    return np.array([np.unique(mask[..., -1]).item() for mask in masks])


for name, masks in (("one channel:", binary), ("one-hot:    ", one_hot)):
    mixed = keras.layers.MixUp(alpha=0.9, seed=3)(
        {"images": images, "labels": labels, "segmentation_masks": masks}, training=True
    )
    mixed = {key: np.asarray(value) for key, value in mixed.items()}
    weights = second_class(mixed["images"])
    print(name, "given", masks.shape, "returned", mixed["segmentation_masks"].shape)
    shown = [" ".join(f"{w:.2f}" for w in values) for values in
             (weights, mixed["labels"][:, 1], second_class(mixed["segmentation_masks"]))]
    print("  class 1 in the images {}, in the labels {}, in the masks {}".format(*shown))
    assert mixed["segmentation_masks"].shape == (2, 8, 8, 2)
    assert np.allclose(weights, mixed["labels"][:, 1], atol=1e-5) and 0.0 < weights[0] < 1.0
    assert not np.allclose(second_class(mixed["segmentation_masks"]), weights, atol=0.05)
PY
