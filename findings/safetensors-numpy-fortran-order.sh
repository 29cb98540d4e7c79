#!/usr/bin/env bash
# Package: safetensors 0.8.0 (with numpy 2.4.6 and pycocotools 2.0.11), Python 3.11.
#
# Behaviour: safetensors.numpy.save_file writes an array that lies in memory column by column (Fortran order, or a
# transposed or strided view) as if it lay row by row. Nothing is raised or logged, and shape and dtype come back as
# they were; the values come back in other places. The same mask in row order comes back whole.
#
# Guess that missed: the array that is loaded equals the array that was saved, whatever its order in memory.
#
# Seen:
#   decode() gives Fortran order: True
#   saved as it is: 18 of 64 mask pixels where they were, shape (20, 30), dtype uint8
#   saved after np.ascontiguousarray: 64 of 64 mask pixels where they were
#   a transposed view of features: equal after loading: False
#
# Why it matters: every mask that pycocotools decodes is in Fortran order, and so is a transposed feature map or score
# matrix. Cached masks, labels or embeddings are scrambled without a word; np.ascontiguousarray first prevents it.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6 pycocotools==2.0.11
cd "$folder"
venv/bin/python - <<'EOF'
import numpy as np
from pycocotools import mask as rle
from safetensors.numpy import load_file, save_file

drawn = np.zeros((20, 30), np.uint8)
drawn[4:12, 6:14] = 1
mask = rle.decode(rle.encode(np.asfortranarray(drawn)))
assert np.array_equal(mask, drawn)
print("decode() gives Fortran order:", mask.flags.f_contiguous and not mask.flags.c_contiguous)

def back(array):
    save_file({"array": array}, "file.safetensors")
    return load_file("file.safetensors")["array"]

loaded = back(mask)
kept = int((loaded & drawn).sum())
print(f"saved as it is: {kept} of {drawn.sum()} mask pixels where they were, shape {loaded.shape}, dtype {loaded.dtype}")
whole = int((back(np.ascontiguousarray(mask)) & drawn).sum())
print(f"saved after np.ascontiguousarray: {whole} of {drawn.sum()} mask pixels where they were")
features = np.arange(12, dtype=np.float32).reshape(3, 4).T
equal = np.array_equal(back(features), features)
print("a transposed view of features: equal after loading:", equal)
assert loaded.shape == drawn.shape and kept == 18 and whole == drawn.sum() and not equal
EOF
