"""Predictions that MMDetection and MMSegmentation write themselves, by the lines that docs/predict.md shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from prediction_files import CATEGORIES, segment, strip, write_pairs
from prediction_files import Pair as ImagePair

from scaseg_cli.base import mmcv_ops
from scaseg_cli.external.evaluate_predictions import score_maps_of, score_predictions
from scaseg_cli.external.labelled_maps import MapLabels

if TYPE_CHECKING:
    from scaseg_cli.external.prediction_score import PredictionScore

torch = pytest.importorskip("torch")
PAGE = Path(__file__).parents[3] / "docs" / "predict.md"
CAT, DOG, COW, GRASS = (item["id"] for item in CATEGORIES)
CLASSES = [item["name"] for item in CATEGORIES]
VOID = len(CLASSES)  # in MMDetection's networks
# Two cats, the second of which is called a dog, and grass; a cow and void. The codes are MMDetection's: class + 1000 *
# instance.
CODES = {"1": [1000, 1000, 1000, VOID, 2001, 2001, 3, 3], "2": [1002, 1002, VOID, VOID]}
LABELS = {"1": strip("11112233"), "2": strip("77..")}
RIGHT = {"cat": 0.75 / 1.5, "dog": 0.0, "cow": 1.0, "grass": 1.0}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Labels, in the current folder under COCO's name."""
    mmcv_ops.install()
    nothing = strip(".")
    truths = [[segment(1, CAT, 0), segment(2, CAT, 0), segment(3, GRASS, 0)], [segment(7, COW, 0)]]
    write_pairs(tmp_path, [ImagePair(LABELS[n], found, nothing, []) for n, found in zip("12", truths, strict=True)])
    (tmp_path / "predictions.json").unlink()
    (tmp_path / "labels.json").rename(tmp_path / "panoptic_val2017.json")
    (tmp_path / "labels").rename(tmp_path / "panoptic_val2017")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def to_colours(ids: np.ndarray) -> np.ndarray:
    """What panopticapi's function of the name does; panopticapi itself is on no package registry."""
    return np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1)


def pq(found: PredictionScore) -> dict[str, float]:
    rows = found.summary.rows(found.classes.names)
    return {row["class"]: round(row["pq"], 9) for row in rows if not np.isnan(row["pq"])}


def lines_after(text: str) -> str:
    """The block of Python that follows a sentence of the page."""
    found = re.search(re.escape(text) + r".*?^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found.group(1)


def test_mmdetections_inferencer(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmdet.apis import det_inferencer
    from mmdet.structures import DetDataSample
    from mmengine.structures import PixelData

    monkeypatch.setattr(det_inferencer, "VOID", 0)
    monkeypatch.setattr(det_inferencer, "id2rgb", to_colours)
    inferencer: Any = SimpleNamespace(model=SimpleNamespace(dataset_meta={"classes": CLASSES}), num_predicted_imgs=0)
    for name, codes in CODES.items():
        sample = DetDataSample(metainfo={"img_path": f"/data/{name}.jpg"})
        sample.pred_panoptic_seg = PixelData(sem_seg=torch.tensor([[codes]]))
        det_inferencer.DetInferencer.pred2dict(inferencer, sample, str(files))
    scope: dict[str, Any] = {"json": json, "np": np, "Image": Image, "images": ["1", "2"], "annotations": []}
    for item in scope["images"]:
        assert (files / "preds" / f"{item}.json").is_file()  # so that --predictions-json is needed
    exec(lines_after("MMDetection's `DetInferencer` codes"), scope)
    for item, image_id in zip(scope["annotations"], (1, 2), strict=True):
        item["image_id"] = image_id  # the page's images are named by their ids
    (files / "found.json").write_text(json.dumps({"annotations": scope["annotations"]}))
    assert pq(score(files, "preds", files / "found.json")) == RIGHT


def score(files: Path, folder: str, json_file: Path | None = None) -> PredictionScore:
    from scaseg_cli.external.score_options import ScoreOptions

    return score_predictions(files / folder, files / "panoptic_val2017.json", options=ScoreOptions(json_file))


def test_mmdetections_metric(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmdet.evaluation.metrics import coco_panoptic_metric

    monkeypatch.setattr(coco_panoptic_metric, "panopticapi", object())
    monkeypatch.setattr(coco_panoptic_metric, "VOID", 0)
    monkeypatch.setattr(coco_panoptic_metric, "id2rgb", to_colours)
    metric = coco_panoptic_metric.CocoPanopticMetric(
        ann_file=str(files / "panoptic_val2017.json"), format_only=True, outfile_prefix=str(files / "results")
    )
    metric.dataset_meta = {"classes": CLASSES}
    samples = [
        {
            "img_id": int(name),
            "img_path": f"/data/{name}.jpg",
            "ori_shape": (1, len(codes)),
            "pred_panoptic_seg": {"sem_seg": torch.tensor([[codes]])},
        }
        for name, codes in CODES.items()
    ]
    metric.process({}, samples)
    metric.compute_metrics(metric.results)
    assert pq(score(files, "results.panoptic")) == RIGHT


@pytest.mark.parametrize("reduce_zero_label", [False, True])
def test_mmsegmentations_metric(files: Path, reduce_zero_label: bool) -> None:
    """With `reduce_zero_label`, as for ADE20K, class 0 of the network is value 1 of the data."""
    from mmseg.evaluation import IoUMetric

    first = int(reduce_zero_label)
    listed = [{"id": place + first, "name": name} for place, name in enumerate(CLASSES)]
    (files / "classes.json").write_text(json.dumps(listed))
    metric = IoUMetric(output_dir=str(files / "maps"), format_only=True)
    metric.dataset_meta = {"classes": CLASSES}
    (files / "truth").mkdir()
    for name, predicted in (("1", [0, 0, 0, 1, 3, 3]), ("2", [2, 2, 2, 2])):
        sample = {
            "pred_sem_seg": {"data": torch.tensor([[predicted] * 2])},
            "img_path": f"/data/{name}.jpg",
            "reduce_zero_label": reduce_zero_label,
        }
        metric.process({}, [sample])
        truth = np.array([[0, 0, 0, 0, 3, 3] if name == "1" else [2, 2, 2, 2]] * 2, np.uint8) + first
        Image.fromarray(truth.astype(np.uint8)).save(files / "truth" / f"{name}.png")
    found = score_maps_of(files / "maps", MapLabels(files / "truth", str(files / "classes.json")))
    rows = {row["class"]: row["iou"] for row in found.summary.rows(found.classes.names)}
    assert rows == {"cat": 3 / 4, "dog": 0, "cow": 1, "grass": 1}


@pytest.mark.parametrize("first", [1, 0])
def test_the_lines_for_transformers(files: Path, first: int) -> None:
    """Mask2Former and OneFormer number segments from 1, EoMT from 0 with -1 for none; grass comes in two parts."""
    parts = {"1": [1000, 1000, 1000, VOID, 2001, 2001, 3, 5003], "2": CODES["2"]}
    found = {}
    for image, codes in parts.items():
        kinds = [code for code in dict.fromkeys(codes) if code != VOID]
        ids = [kinds.index(code) + first if code in kinds else first - 1 for code in codes]
        found[image] = {
            "segmentation": torch.tensor([ids], dtype=torch.int32),
            "segments_info": [
                {"id": place + first, "label_id": code % 1000, "was_fused": False, "score": 0.9}
                for place, code in enumerate(kinds)
            ],
        }
    assert written_as_the_page_says(files, found) == RIGHT


def written_as_the_page_says(files: Path, found: dict[str, Any]) -> dict[str, float]:
    (files / "pngs").mkdir()
    annotations: list[dict[str, Any]] = []
    categories = json.loads((files / "panoptic_val2017.json").read_text())["categories"]
    for image, of_image in found.items():
        scope = {
            "np": np,
            "Image": Image,
            "image": image,
            "found": of_image,
            "annotations": annotations,
            "categories": categories,
        }
        exec(lines_after("With transformers, `found` is an element"), scope)
    (files / "pngs.json").write_text(json.dumps({"annotations": annotations}))
    return pq(score(files, "pngs"))


def test_the_line_for_eomts_own_code(files: Path) -> None:
    """It has class and segment id of each pixel in one tensor, and the number of classes and -1 for none."""
    found = {}
    for image, codes in CODES.items():
        kinds = [code for code in dict.fromkeys(codes) if code != VOID]
        pairs = [[VOID, -1] if code == VOID else [code % 1000, kinds.index(code)] for code in codes]
        scope: dict[str, Any] = {"preds": torch.tensor([pairs])}
        exec(lines_after("EoMT's own code has the class"), scope)
        found[image] = scope["found"]
    assert written_as_the_page_says(files, found) == RIGHT
