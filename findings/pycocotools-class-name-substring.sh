#!/usr/bin/env bash
# Package: pycocotools 2.0.11 (with numpy 2.4.6), Python 3.11.
#
# Behaviour: COCO.getCatIds(catNms="hot dog") returns the categories whose names occur INSIDE the text, so "dog" comes
# back too, and first. Given ["hot dog"], a list, it returns hot dog alone.
#
# Guess that missed: one name as text selects the class of that name.
#
# Seen:
#   getCatIds(catNms='hot dog')    -> ['dog', 'hot dog']
#   getCatIds(catNms='teddy bear') -> ['bear', 'teddy bear']
#   getCatIds(catNms='sandwich')   -> ['sand', 'sandwich']
#   getCatIds(catNms='dog')        -> ['dog']
#   getCatIds(catNms=['hot dog'])  -> ['hot dog']
#
# Why it matters: dog and hot dog, bear and teddy bear are classes of COCO, sand one of its stuff classes beside the
# thing sandwich. A list of unseen classes made name by name takes seen classes in with it, and [0] of the result, as
# is often written, is the wrong class.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pycocotools==2.0.11 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'EOF'
import contextlib
import io

from pycocotools.coco import COCO

names = ["dog", "bear", "hot dog", "teddy bear", "sandwich", "sand"]
coco = COCO()
coco.dataset = {"images": [], "annotations": [], "categories": [{"id": i, "name": n} for i, n in enumerate(names, 1)]}
with contextlib.redirect_stdout(io.StringIO()):
    coco.createIndex()

def found(query):
    return sorted(names[i - 1] for i in coco.getCatIds(catNms=query))

for query in ("hot dog", "teddy bear", "sandwich", "dog", ["hot dog"]):
    print(f"getCatIds(catNms={query!r})".ljust(30), "->", found(query))
assert found("hot dog") == ["dog", "hot dog"] and found("teddy bear") == ["bear", "teddy bear"]
assert found("sandwich") == ["sand", "sandwich"] and found("dog") == ["dog"] and found(["hot dog"]) == ["hot dog"]
EOF
