#!/usr/bin/env bash
# Package: opencv-python-headless 5.0.0.93 (with pillow 13.0.0 and numpy 2.4.6), Python 3.11.
#
# Behaviour: cv2.imread(..., cv2.IMREAD_UNCHANGED) of a PNG with a palette does not give the stored numbers: it gives
# the colours of the palette, three channels, and IMREAD_GRAYSCALE gives the brightness of those colours. Numbers whose
# colours are alike become one.
#
# Guess that missed: "unchanged" is the stored number of each pixel, as for a grey PNG.
#
# Seen (class ids 0, 1, 2, 255, the last drawn black as the first):
#   Pillow:           [0, 1, 2, 255]
#   IMREAD_UNCHANGED: shape (1, 4, 3), [[0, 0, 0], [0, 0, 128], [0, 128, 0], [0, 0, 0]]
#   IMREAD_GRAYSCALE: shape (1, 4), [0, 38, 75, 0]
#
# Why it matters: Pascal VOC's and many annotation tools' label maps are PNGs with a palette. Read in grey they are
# label maps of plausible small numbers that are other classes; read unchanged, void and background can be one colour.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opencv-python-headless==5.0.0.93 pillow==13.0.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'EOF'
import cv2
import numpy as np
from PIL import Image

ids = np.array([[0, 1, 2, 255]], np.uint8)
image = Image.fromarray(ids)
image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * (3 * 253))
image.save("labels.png")
stored = np.array(Image.open("labels.png"))
unchanged = cv2.imread("labels.png", cv2.IMREAD_UNCHANGED)
grey = cv2.imread("labels.png", cv2.IMREAD_GRAYSCALE)
print("Pillow:          ", stored[0].tolist())
print(f"IMREAD_UNCHANGED: shape {unchanged.shape}, {unchanged[0].tolist()}")
print(f"IMREAD_GRAYSCALE: shape {grey.shape}, {grey[0].tolist()}")
assert np.array_equal(stored, ids)
assert unchanged[0].tolist() == [[0, 0, 0], [0, 0, 128], [0, 128, 0], [0, 0, 0]] and grey[0].tolist() == [0, 38, 75, 0]
EOF
