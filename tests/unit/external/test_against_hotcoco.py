"""Panoptic quality equals that of hotcoco, an independent implementation of panopticapi's rules."""

import numpy as np
import pytest
from prediction_files import CATEGORIES, random_pair, write_pairs

from scaseg_cli.data.annotations import read_panoptic_files
from scaseg_cli.external.predicted_set import read_predictions
from scaseg_cli.external.score_files import score_files

panoptic = pytest.importorskip("hotcoco.panoptic")


def test_random_sets_have_hotcocos_figures(tmp_path):
    rng = np.random.default_rng(11)
    write_pairs(tmp_path, [random_pair(rng) for _ in range(80)])
    labels = read_panoptic_files(tmp_path / "labels.json", tmp_path, tmp_path / "labels")
    predicted = read_predictions(tmp_path / "predictions", labels)
    class_ids = {category["id"]: place for place, category in enumerate(CATEGORIES)}
    found = score_files(labels, predicted, class_ids, len(class_ids)).quality.per_class()
    theirs = panoptic.PanopticEval(tmp_path / "labels.json", tmp_path / "predictions.json")
    theirs.evaluate()
    by_class = theirs.results()["per_class"]
    for category in CATEGORIES:
        expected, n = by_class[category["id"]], class_ids[category["id"]]
        for key in ("pq", "sq", "rq"):
            assert abs(getattr(found, key)[n] - expected[key]) < 1e-9
        assert found.tp[n] > 5
    assert abs(np.mean(found.pq) - theirs.results()["All"]["pq"]) < 1e-9
