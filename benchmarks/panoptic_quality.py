"""Compare the speed of scoring predictions in files with decoding their PNGs only and with a plain reference.

    python benchmarks/panoptic_quality.py --size published

Times are CPU seconds on one core. Scoring and the reference must give the same counts, or the benchmark fails.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from measuring import Goal, Outcome, in_turns, machine_of, run_benchmark
from panoptic_set import LABELS, NUM_CATEGORIES, PREDICTIONS, write_set
from PIL import Image

from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.prefetch import num_cores
from scaseg_cli.external.predicted_set import read_predictions
from scaseg_cli.external.score_files import score_files
from scaseg_cli.files import read_json
from scaseg_cli.recipe.schema import ImageSet

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from typing import TYPE_CHECKING

from plain_panoptic_quality import PlainQuality

if TYPE_CHECKING:
    import argparse

    from scaseg_cli.data.records import LabelledSet
    from scaseg_cli.measures.panoptic_quality import PanopticQuality

NUM_IMAGES = {"small": 40, "published": 1000}
NUM_PLAIN = {"small": 10, "published": 50}  # number of images for the plain reference, which is slow
CLASS_IDS = {k: k - 1 for k in range(1, NUM_CATEGORIES + 1)}


def read_labels(folder: Path) -> LabelledSet:
    """Read the labels of a set that `write_set` wrote."""
    return read_panoptic_set(folder, ImageSet(images=LABELS, annotations=f"{LABELS}.json", labels=LABELS))


def decode(folder: Path) -> None:
    """Decode every PNG of the labels and the predictions with the fastest available decoder and discard the result."""
    for name in (LABELS, PREDICTIONS):
        for path in sorted((folder / name).glob("*.png")):
            cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)


def score(folder: Path, workers: int) -> PanopticQuality:
    """Score the predictions as `scaseg evaluate --predictions` does."""
    labels = read_labels(folder)
    predicted = read_predictions(folder / PREDICTIONS, labels)
    return score_files(labels, predicted, CLASS_IDS, NUM_CATEGORIES, workers).quality


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
    """Make the set and time the ways of scoring it; fail if their counts differ."""
    num, num_plain, rounds = NUM_IMAGES[options.size], NUM_PLAIN[options.size], options.rounds or 3
    with tempfile.TemporaryDirectory(prefix="scaseg-benchmark-") as name:
        folder, cores = Path(name), num_cores()
        write_set(folder, num, cores)
        check(folder, num)
        one_core = {"decoding": lambda: decode(folder), "scaseg": lambda: score(folder, 0)}
        work = in_turns(one_core, rounds)
        plain = in_turns({"plain": lambda: score_plainly(folder, num_plain)}, 1)
        threads = in_turns({"threads": lambda: score(folder, cores)}, rounds, clock=time.perf_counter)
        kilobytes = np.mean([path.stat().st_size for path in (folder / LABELS).glob("*.png")]) / 1000
    return Outcome(
        benchmark="panoptic_quality",
        device="cpu",
        size=options.size,
        ratio_of="speed of scoring / speed of decoding the PNGs",
        ratio=work.ratio("decoding", "scaseg"),
        goal=Goal("at least", 0.8) if options.size == "published" else None,
        figures={
            "scaseg evaluate --predictions, images per second and core": num / work.median("scaseg"),
            "decoding the same PNGs, images per second and core": num / work.median("decoding"),
            "a plain reference, images per second and core": num_plain / plain.median("plain"),
            f"scaseg evaluate --predictions in {cores} threads, images per second": num / threads.median("threads"),
        },
        notes=(
            f"{num} images of 640 x 480 pixels with about eleven segments, void and crowds; {kilobytes:.1f} kB per "
            f"label PNG. The reference scores {num_plain} of them segment by segment and gives the same counts.",
        ),
        machine=machine_of("cpu"),
    )


def check(folder: Path, num_images: int) -> None:
    """Assert that the fast and the plain scoring give the same quality on the first images."""
    labels = read_labels(folder)
    first = labels.only([record.image_id for record in labels.images[: min(num_images, 20)]])
    fast = score_files(first, read_predictions(folder / PREDICTIONS, first), CLASS_IDS, NUM_CATEGORIES, 0).quality
    found = fast.per_class()
    plain = score_plainly(folder, len(first.images))
    for category_id, class_id in CLASS_IDS.items():
        expected = plain.counts[category_id].quality()
        ours = (found.pq[class_id], found.sq[class_id], found.rq[class_id])
        assert np.allclose(ours, expected, rtol=0, atol=1e-9, equal_nan=True), (category_id, ours, expected)


if __name__ == "__main__":
    sys.exit(run_benchmark("Panoptic quality of predictions in files", ("cpu",), measure))
