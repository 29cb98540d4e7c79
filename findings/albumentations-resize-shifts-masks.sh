#!/usr/bin/env bash
# Package: albumentations 2.0.8 (with opencv-python-headless 5.0.0.93 and numpy 2.4.6), Python 3.11.
#
# Behaviour: A.Resize with its defaults moves the mask against the image: the mask takes the first source pixel of each
# cell (cv2.INTER_NEAREST), the image the middle of it. By a factor of f the labels lie (f - 1) / 2 source pixels off,
# down and to the right. mask_interpolation=cv2.INTER_NEAREST_EXACT takes the middle too.
#
# Guess that missed: image and mask of one call still belong together, to within rounding to the nearest pixel.
#
# Seen (each pixel of image and mask holds its column; 64 columns to 16):
#   image      [2, 6, 10, 14, 18, 22]
#   mask       [0, 4, 8, 12, 16, 20]
#   mask exact [2, 6, 10, 14, 18, 22]
#   a bar of columns 6 to 9 of 64, at 16: image at pixel 1.50, mask at 2.00
#
# Why it matters: training images are often shrunk two to four times. Every border is then taught one or two source
# pixels to one side, always the same one, and thin objects are off by their whole width. Accuracy suffers unseen.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet albumentations==2.0.8 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder"
NO_ALBUMENTATIONS_UPDATE=1 venv/bin/python - <<'EOF'
import albumentations as A
import cv2
import numpy as np

columns = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
image = np.repeat(columns[..., None], 3, axis=2)

def resized(image, mask, **options):
    found = A.Resize(16, 16, **options)(image=image, mask=mask)
    return found["image"][0, :, 0], found["mask"][0]

of_image, of_mask = resized(image, columns)
_, exact = resized(image, columns, mask_interpolation=cv2.INTER_NEAREST_EXACT)
for name, values in (("image     ", of_image), ("mask      ", of_mask), ("mask exact", exact)):
    print(name, values[:6].tolist())
assert np.array_equal(of_image, exact) and np.array_equal(of_mask + 2, exact)

bar = ((columns >= 6) & (columns < 10)).astype(np.uint8)
soft, hard = resized(np.repeat(bar[..., None] * 252, 3, axis=2), bar)
centres = [float((values * np.arange(16)).sum() / values.sum()) for values in (soft.astype(float), hard.astype(float))]
print(f"a bar of columns 6 to 9 of 64, at 16: image at pixel {centres[0]:.2f}, mask at {centres[1]:.2f}")
assert centres == [1.5, 2.0]
EOF
