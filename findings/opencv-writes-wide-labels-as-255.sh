#!/usr/bin/env bash
# Package: opencv-python-headless 5.0.0.93 (with numpy 2.4.6), Python 3.11.
#
# Behaviour: cv2.imwrite of a label map as int32 or int64, NumPy's own integer types, writes an 8-bit PNG in which all
# ids above 255 are 255. It returns True; the log has a line on a fallback to 8 bits and none on lost values. The same
# ids as uint16 are kept.
#
# Guess that missed: a 16-bit PNG, since all ids fit in one, or an error.
#
# Seen (ids 0, 1, 254, 256, 300, 26001):
#   uint16: returned True, read back uint16 [0, 1, 254, 256, 300, 26001]
#   int32: returned True, read back uint8 [0, 1, 254, 255, 255, 255]
#   int64: returned True, read back uint8 [0, 1, 254, 255, 255, 255]
#
# Why it matters: 255 is the value that segmentation tools ignore. Classes above 254 of a large vocabulary, or instance
# ids such as Cityscapes' 26001, turn into "ignore this pixel": they are neither trained nor scored, and nothing fails.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'EOF'
import cv2
import numpy as np

ids = np.array([[0, 1, 254, 256, 300, 26001]])
found = {}
for dtype in (np.uint16, np.int32, np.int64):
    returned = cv2.imwrite("labels.png", ids.astype(dtype))
    again = cv2.imread("labels.png", cv2.IMREAD_UNCHANGED)
    found[dtype] = (returned, again.dtype.name, again[0].tolist())
    print(f"{np.dtype(dtype).name}: returned {returned}, read back {again.dtype} {again[0].tolist()}")
assert found[np.uint16] == (True, "uint16", ids[0].tolist())
assert found[np.int32] == found[np.int64] == (True, "uint8", [0, 1, 254, 255, 255, 255])
EOF
