#!/usr/bin/env bash
# Package: panoptica 2.1.7 (with numpy 2.2.6), Python 3.11.
#
# Behaviour: the panoptic quality that Panoptica_Evaluator gives for semantic maps does not look at classes unless
# segmentation_class_groups is passed: all non-zero pixels are one foreground, and its connected parts are the objects.
# A prediction in which every pixel has a wrong class scores 1, and touching regions of two classes count as one.
#
# Guess that missed: the numbers in a semantic map (InputType.SEMANTIC) are its classes, and a wrong class is an error.
#
# Seen (class 1 above class 2, touching; the prediction has them exchanged, so no foreground pixel is right):
#   right foreground pixels: 0 of 192
#   without groups: PQ 1.0, found 1, false 0, missed 0
#   with a group for each class: PQ 0.0 and 0.0
#
# Why it matters: panoptic quality elsewhere is per class. A run that confuses all classes looks perfect here, and the
# number of objects is not that of the segments.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile panoptica==2.1.7 numpy==2.2.6
cd "$folder"
cat > score.py <<'EOF'
import numpy as np
from panoptica import (
    ConnectedComponentsInstanceApproximator, InputType, NaiveThresholdMatching, Panoptica_Evaluator,
)
from panoptica.utils import LabelGroup
from panoptica.utils.segmentation_class import SegmentationClassGroups

if __name__ == "__main__":
    truth = np.zeros((20, 20), np.uint8)
    truth[2:8, 2:18], truth[8:14, 2:18] = 1, 2
    prediction = np.array([0, 2, 1], np.uint8)[truth]
    print(f"right foreground pixels: {int(((truth == prediction) & (truth > 0)).sum())} of {int((truth > 0).sum())}")

    def evaluated(groups=None):
        evaluator = Panoptica_Evaluator(
            expected_input=InputType.SEMANTIC,
            instance_approximator=ConnectedComponentsInstanceApproximator(),
            instance_matcher=NaiveThresholdMatching(),
            segmentation_class_groups=groups,
        )
        return evaluator.evaluate(prediction, truth, verbose=False)

    whole = evaluated()["ungrouped"]
    print(f"without groups: PQ {whole.pq}, found {whole.tp}, false {whole.fp}, missed {whole.fn}")
    each = evaluated(SegmentationClassGroups({"one": LabelGroup(1), "two": LabelGroup(2)}))
    print(f"with a group for each class: PQ {each['one'].pq} and {each['two'].pq}")
    assert (whole.pq, whole.tp, whole.fp, whole.fn) == (1.0, 1, 0, 0) and each["one"].pq == each["two"].pq == 0
EOF
timeout 120 venv/bin/python -W ignore score.py
