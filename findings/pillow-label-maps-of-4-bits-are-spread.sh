#!/usr/bin/env bash
# Package: pillow 13.0.0 with pypng 0.20220715.0, numpy 2.4.6, Python 3.11.
#
# Behaviour: a grey PNG of 2 or 4 bits is opened as mode L, with its values spread over 0..255: of a label map of 4 bits,
# class 3 is read as 51 and class 15 as 255; of 2 bits, class 1 as 85 and class 3 as 255. A palette PNG of the same bits
# keeps its values. The mode is that of an ordinary map of 8 bits, and there is no warning.
#
# Guess that missed: the values of a label map are read as they are stored, whatever its number of bits.
#
# Seen:
#   in the file:     [0, 1, 2, 3]
#   grey, 2 bits:    L [0, 85, 170, 255]
#   grey, 4 bits:    L [0, 17, 34, 51]
#   palette, 4 bits: P [0, 1, 2, 3]
#
# Why it matters: optimisers of PNGs store maps of few classes in 2 or 4 bits, without loss. The map then has other
# classes: 255, the last one of 2 bits, is what most code ignores, so a class vanishes from training and from the score.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile pillow==13.0.0 pypng==0.20220715.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'EOF'
import numpy as np
import png
from PIL import Image

ids = [0, 1, 2, 3]
print("in the file:    ", ids)
for bits, step in ((2, 85), (4, 17)):
    with open("labels.png", "wb") as file:
        png.Writer(4, 1, greyscale=True, bitdepth=bits).write(file, [ids])
    image = Image.open("labels.png")
    read = np.array(image)[0].tolist()
    print(f"grey, {bits} bits:   ", image.mode, read)
    assert image.mode == "L" and read == [value * step for value in ids]
colours = [(16 * k, 16 * k, 16 * k) for k in range(16)]
with open("labels.png", "wb") as file:
    png.Writer(4, 1, palette=colours, bitdepth=4).write(file, [ids])
image = Image.open("labels.png")
read = np.array(image)[0].tolist()
print("palette, 4 bits:", image.mode, read)
assert image.mode == "P" and read == ids
EOF
