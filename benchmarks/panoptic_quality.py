"""Compare the scoring of predictions in files with hotcoco's, a package with a Rust core, on the same files.

    python benchmarks/panoptic_quality.py --size published

Times are CPU seconds. Whole commands include their start; counting leaves it out. All ways must give the same figures,
also those of a plain reference on the first images, or the benchmark fails. hotcoco is in the extra dev.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from hotcoco import panoptic, semantic
from measuring import Goal, Outcome, in_turns, machine_of, run_benchmark
from panoptic_set import LABELS, NUM_CATEGORIES, PREDICTIONS, write_set
from PIL import Image

from scaseg_cli.data.annotations import read_panoptic_files
from scaseg_cli.data.prefetch import num_cores
from scaseg_cli.data.records import IGNORED
from scaseg_cli.external.labelled_maps import MapLabels, labelled_maps
from scaseg_cli.external.predicted_maps import open_maps
from scaseg_cli.external.predicted_set import read_predictions
from scaseg_cli.external.score_files import score_files
from scaseg_cli.external.score_maps import MapTask, score_maps
from scaseg_cli.files import read_json, write_json

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from typing import TYPE_CHECKING

from plain_panoptic_quality import PlainQuality

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from scaseg_cli.data.records import LabelledSet
    from scaseg_cli.measures.mean_iou import Confusion
    from scaseg_cli.measures.panoptic_quality import PanopticQuality

NUM_IMAGES = {"small": 20, "published": 300}
NUM_PLAIN = {"small": 5, "published": 20}  # number of images for the plain reference, which is slow
CLASS_IDS = {k: k - 1 for k in range(1, NUM_CATEGORIES + 1)}
MAPS = {name: f"{name}-maps" for name in (LABELS, PREDICTIONS)}
START = ("-c", "import typer, rich, numpy, cv2")


def read_labels(folder: Path) -> LabelledSet:
    """Read the labels of a set that `write_set` wrote."""
    return read_panoptic_files(folder / f"{LABELS}.json", folder / LABELS, folder / LABELS)


def score(folder: Path) -> PanopticQuality:
    """Score the predictions as `scaseg evaluate --predictions` does, in one process."""
    labels = read_labels(folder)
    return score_files(labels, read_predictions(folder / PREDICTIONS, labels), CLASS_IDS, NUM_CATEGORIES, 1).quality


def score_with_hotcoco(folder: Path) -> panoptic.PanopticEval:
    """Score the predictions with hotcoco."""
    theirs = panoptic.PanopticEval(folder / f"{LABELS}.json", folder / f"{PREDICTIONS}.json")
    theirs.evaluate()
    return theirs


def score_semantic(folder: Path) -> Confusion:
    """Count the pixels of the label maps as `scaseg evaluate --predictions` does, in one process."""
    labels = labelled_maps(MapLabels(folder / MAPS[LABELS], str(folder / "classes.json")))
    return score_maps(MapTask(labels, open_maps(folder / MAPS[PREDICTIONS]), {n: n for n in range(NUM_CATEGORIES)}), 1)


def score_semantic_with_hotcoco(folder: Path) -> semantic.SemanticEval:
    """Count the pixels of the label maps with hotcoco."""
    theirs = semantic.SemanticEval(NUM_CATEGORIES)
    theirs.update_folders(folder / MAPS[LABELS], folder / MAPS[PREDICTIONS])
    return theirs


def write_maps(folder: Path) -> None:
    """Write label maps of the same images, with the class ids 0 to N - 1, and the list of classes."""
    write_json(folder / "classes.json", [{"id": n, "name": f"class {n}"} for n in range(NUM_CATEGORIES)])
    for name in (LABELS, PREDICTIONS):
        (folder / MAPS[name]).mkdir()
        for item in read_json(folder / f"{name}.json", "the set")["annotations"]:
            ids = _ids(folder / name / item["file_name"])
            values = np.full(ids.shape, IGNORED if name == LABELS else 0, np.uint8)
            for segment in item["segments_info"]:
                values[ids == segment["id"]] = CLASS_IDS[segment["category_id"]]
            Image.fromarray(values).save(folder / MAPS[name] / item["file_name"])


def command_seconds(words: Sequence[str]) -> float:
    """CPU seconds of one command, with its processes."""
    before = os.times()
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def commands_of(folder: Path) -> dict[str, list[str]]:
    """The commands to compare."""
    labels, predictions = str(folder / f"{LABELS}.json"), str(folder / PREDICTIONS)
    hotcoco = ["-c", "from hotcoco.cli import main; main()", "panoptic", "eval"]
    return {
        "start": list(START),
        "scaseg": ["-m", "scaseg_cli", "evaluate", "--predictions", predictions, "--annotations", labels],
        "hotcoco": [*hotcoco, "--gt", labels, "--pred", f"{predictions}.json"],
    }


def score_plainly(folder: Path, num_images: int) -> PlainQuality:
    """Score the first images segment by segment."""
    quality = PlainQuality()
    truths, guesses = (read_json(folder / f"{name}.json", "the set")["annotations"] for name in (LABELS, PREDICTIONS))
    for truth, guess in list(zip(truths, guesses, strict=True))[:num_images]:
        maps = [_ids(folder / name / truth["file_name"]) for name in (LABELS, PREDICTIONS)]
        quality.add(maps[0], truth["segments_info"], maps[1], guess["segments_info"])
    return quality


def _ids(path: Path) -> np.ndarray:
    pixels = np.array(Image.open(path), dtype=np.uint32)
    return pixels[..., 0] + 256 * pixels[..., 1] + 65536 * pixels[..., 2]


def measure(options: argparse.Namespace) -> Outcome:
    """Make the set and time the ways of scoring it; fail if their figures differ."""
    num, rounds = NUM_IMAGES[options.size], options.rounds or 5
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="scaseg-benchmark-") as name, tempfile.TemporaryDirectory() as empty:
        folder, one = Path(name), Path(empty)
        write_set(folder, num, num_cores())
        write_maps(folder)
        write_set(one, 1, 1)
        check(folder, NUM_PLAIN[options.size])
        work = in_turns(
            {
                "scaseg": lambda: score(folder),
                "hotcoco": lambda: score_with_hotcoco(folder),
                "scaseg, semantic": lambda: score_semantic(folder),
                "hotcoco, semantic": lambda: score_semantic_with_hotcoco(folder),
            },
            rounds,
        )
        seconds: dict[str, list[float]] = {}
        for _ in range(rounds):
            for way, words in {**commands_of(folder), "scaseg, one image": commands_of(one)["scaseg"]}.items():
                seconds.setdefault(way, []).append(command_seconds(words))
        whole = {way: float(np.median(values)) for way, values in seconds.items()}
    return Outcome(
        benchmark="panoptic_quality",
        device="cpu",
        size=options.size,
        ratio_of="scaseg evaluate --predictions / hotcoco's command",
        ratio=whole["scaseg"] / whole["hotcoco"],
        goal=Goal("at most", 1.3) if options.size == "published" else None,
        figures={
            "scaseg evaluate --predictions, s of CPU time": whole["scaseg"],
            "hotcoco's command, s of CPU time": whole["hotcoco"],
            "counting without start, s of CPU time": work.median("scaseg"),
            "hotcoco's counting without start, s of CPU time": work.median("hotcoco"),
            "counting / hotcoco's counting, without start": work.ratio("scaseg", "hotcoco"),
            "semantic counting, s of CPU time": work.median("scaseg, semantic"),
            "hotcoco's semantic counting, s of CPU time": work.median("hotcoco, semantic"),
            "semantic counting / hotcoco's": work.ratio("scaseg, semantic", "hotcoco, semantic"),
            "start of scaseg evaluate --predictions, with one image, s of CPU time": whole["scaseg, one image"],
            "start / start of typer, rich, NumPy and OpenCV": whole["scaseg, one image"] / whole["start"],
        },
        notes=(
            f"{num} images of 640 x 480 pixels with eleven segments, void and crowds, in {NUM_CATEGORIES} classes; "
            "for semantic counting, grey label maps of the same images. The figures of both, and of a plain reference, "
            "are the same.",
            "Counting is our own: it is what scaseg exists for, and its checks and notes need the pixels that segments "
            "share, which hotcoco does not return. kornia-rs decodes, with the same Rust decoder as hotcoco: these "
            "PNGs took it a sixth of OpenCV's time and 0.42 of libspng's (pyspng). It does not release the GIL, so "
            "several processes share sets of 2,000 images and more. Decoding is two fifths of the counting.",
            "Goals: at most 1.3 for the whole command, 1.0 for counting, 1.5 for semantic counting, 1.6 for the start.",
        ),
        machine=machine_of("cpu"),
    )


def check(folder: Path, num_plain: int) -> None:
    """Assert that all ways of scoring give the same figures; the plain one on the first images."""
    found, theirs = score(folder).per_class(), score_with_hotcoco(folder).results()
    for category_id, class_id in CLASS_IDS.items():
        expected = theirs["per_class"][category_id]["pq"]  # -1: neither labels nor predictions have the class
        assert np.isclose(found.pq[class_id], np.nan if expected < 0 else expected, 0, 1e-9, True), category_id
    confusion = score_semantic(folder)
    assert np.array_equal(confusion.array, score_semantic_with_hotcoco(folder).confusion())
    labels = read_labels(folder)
    first = labels.only([record.image_id for record in labels.images[:num_plain]])
    predicted = read_predictions(folder / PREDICTIONS, first)
    found = score_files(first, predicted, CLASS_IDS, NUM_CATEGORIES, 1).quality.per_class()
    plain = score_plainly(folder, num_plain)
    for category_id, class_id in CLASS_IDS.items():
        ours = (found.pq[class_id], found.sq[class_id], found.rq[class_id])
        expected = plain.counts[category_id].quality()
        assert np.allclose(ours, expected, rtol=0, atol=1e-9, equal_nan=True), (category_id, ours, expected)


if __name__ == "__main__":
    sys.exit(run_benchmark("Panoptic quality of predictions in files", ("cpu",), measure))
