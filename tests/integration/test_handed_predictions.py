"""The predictions among the handed cases (SCASEG_TEST_DATA/cases): each is its labels but for one peculiarity."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest
from outside_data import needs_outside, outside

from scaseg_cli.external.evaluate_predictions import score_predictions
from scaseg_cli.external.score_options import ScoreOptions

if TYPE_CHECKING:
    from pathlib import Path

ARCHIVE = "cases/cases.tar.gz"
FOLDERS = {"mmdet": "results.panoptic"}
NOTES = {
    "bgr-png": "R and B swapped",
    "contiguous-ids-overlapping": "Almost nothing matches",
    "hugging-face": "label_id was read as the position",
    "label-without-pixels": "1 labelled segments have no pixel",
}
MEANS = {"contiguous-ids-overlapping": 0.0, "label-without-pixels": 0.966667}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    with tarfile.open(outside(ARCHIVE)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "prediction"


@needs_outside(ARCHIVE)
def test_every_case_is_scored(cases: Path) -> None:
    found = {}
    for case in sorted(cases.iterdir()):
        elsewhere = case / "predictions.json"
        options = ScoreOptions(elsewhere if elsewhere.is_file() else None)
        labels = case / "annotations" / "panoptic_val.json"
        score = score_predictions(case / FOLDERS.get(case.name, "pred"), labels, unseen=["cow"], options=options)
        found[case.name] = round(score.summary.groups["all"][score.summary.main], 6)
        notes = "\n".join(score.notes)
        assert NOTES.get(case.name, "") in notes
        assert score.json_file is None if case.name == "label-maps" else score.json_file is not None
    assert found == {name: MEANS.get(name, 1.0) for name in found}
    assert len(found) == 9
