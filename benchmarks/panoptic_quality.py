"""How fast predictions in files are scored, beside decoding their PNGs alone and beside a plain reference.

    python benchmarks/panoptic_quality.py --images 1000 --folder runs/panoptic-benchmark

Times are CPU time of one core, the best of several rounds, so that a busy machine disturbs them little.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from scaseg_cli.data.ahead import num_cores
from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.records import LabelledSet
from scaseg_cli.evaluation.panoptic_quality import PanopticQuality
from scaseg_cli.evaluation.predicted_set import read_predictions
from scaseg_cli.evaluation.score_files import score_files
from scaseg_cli.files import read_json
from scaseg_cli.recipe.schema import ImageSet
from scaseg_cli.results.console import print_table
from scaseg_cli.results.table import Column, Table

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tests")]
from panoptic_set import LABELS, NUM_CATEGORIES, PREDICTIONS, write_set  # noqa: E402
from plain_panoptic_quality import PlainQuality  # noqa: E402

CLASS_IDS = {k: k - 1 for k in range(1, NUM_CATEGORIES + 1)}


def read_labels(folder: Path) -> LabelledSet:
    """The labels of a set that `write_set` wrote."""
    return read_panoptic_set(folder, ImageSet(images=LABELS, annotations=f"{LABELS}.json", labels=LABELS))


def decode(folder: Path) -> None:
    """Decode every PNG, of labels and of predictions, by the fastest decoder at hand, and do nothing with it."""
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


def best_of(rounds: int, clock: Callable[[], float], *works: Callable[[], object]) -> list[float]:
    """Seconds of each work's fastest round; the works take turns, so that what else the machine does meets them all."""
    best = [math.inf] * len(works)
    for _ in range(rounds):
        for place, work in enumerate(works):
            started = clock()
            work()
            best[place] = min(best[place], clock() - started)
    return best


def main() -> None:
    """Make the set, measure, print the table; fails where the two ways do not agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--plain", type=int, default=50, help="images for the plain reference")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("runs/panoptic-benchmark"))
    given = parser.parse_args()
    folder, num, cores = given.folder, given.images, num_cores()
    write_set(folder, num, cores)
    check(folder, num)
    (plain,) = best_of(1, time.process_time, lambda: score_plainly(folder, given.plain))
    decoding, one = best_of(given.rounds, time.process_time, lambda: decode(folder), lambda: score(folder, 0))
    (threads,) = best_of(given.rounds, time.perf_counter, lambda: score(folder, cores))
    rows = [
        {"what": "a plain reference, segment by segment", "rate": given.plain / plain},
        {"what": "scaseg evaluate --predictions, one core", "rate": num / one, "share": decoding / one},
        {"what": "decoding the same PNGs, one core", "rate": num / decoding, "share": 1.0},
        {"what": f"scaseg evaluate --predictions, {cores} threads, by the clock", "rate": num / threads},
    ]
    sizes = [path.stat().st_size for path in (folder / LABELS).glob("*.png")]
    notes = [f"{num} images, {np.mean(sizes) / 1000:.1f} kB a label PNG. Share: of the speed of decoding."]
    columns = [Column("what", ""), Column("rate", "images a second", "number"), Column("share", "share", "percent")]
    print_table(Table("Panoptic quality", columns, rows, notes))


def check(folder: Path, num_images: int) -> None:
    """The fast and the plain way must count the same, on the first images."""
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
    main()
