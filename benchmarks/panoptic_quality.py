"""Compare the scoring of predictions in files with that of hotcoco and vernier, which have Rust cores.

    python benchmarks/panoptic_quality.py --size published

Times are CPU seconds. Whole commands include their start, from compiled Python; counting leaves it out. All ways must
give the same figures, also those of a plain reference on the first images, or the benchmark fails. hotcoco is in the
extra dev; vernier is compared where it is installed.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from hotcoco import panoptic, semantic
from measuring import Goal, Outcome, Timings, in_turns, machine_of, run_benchmark
from panoptic_set import LABELS, NUM_CATEGORIES, PREDICTIONS, write_set
from PIL import Image

from scaseg_cli.data.annotations import read_panoptic_files
from scaseg_cli.data.prefetch import num_cores
from scaseg_cli.data.records import IGNORED
from scaseg_cli.data.segment_png import CodeReader
from scaseg_cli.external.labelled_maps import MapLabels, labelled_maps
from scaseg_cli.external.predicted_maps import open_maps
from scaseg_cli.external.predicted_set import read_predictions
from scaseg_cli.external.score_files import score_files
from scaseg_cli.external.score_maps import MapTask, score_maps
from scaseg_cli.files import read_json, write_json

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from typing import TYPE_CHECKING, Any

from plain_panoptic_quality import PlainQuality

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from scaseg_cli.data.records import LabelledSet
    from scaseg_cli.measures.mean_iou import Confusion
    from scaseg_cli.measures.panoptic_quality import PanopticQuality

NUM_IMAGES = {"small": 20, "published": 300}
NUM_MANY = {"small": 40, "published": 5000}  # the same images under several names, as generating them takes hours
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


def decode_all(folder: Path) -> None:
    """Decode all PNGs as our counting does."""
    readers, labels = (CodeReader(), CodeReader()), read_labels(folder)
    for record in labels.images:
        for name, reader in zip((LABELS, PREDICTIONS), readers, strict=True):
            reader.read(folder / name / record.label_name, record.width, record.height)


def score_with_vernier(folder: Path) -> Any:
    """Score the predictions with vernier, which decodes the PNGs one by one."""
    from vernier import panoptic as theirs  # optional

    truths, guesses = (read_json(folder / f"{name}.json", "the set") for name in (LABELS, PREDICTIONS))
    with theirs.BackgroundEvaluator(json.dumps(truths["categories"]).encode(), "strict") as scoring:
        for truth, guess in zip(truths["annotations"], guesses["annotations"], strict=True):
            sides = []
            for name, item in ((LABELS, truth), (PREDICTIONS, guess)):
                sides += [(folder / name / item["file_name"]).read_bytes(), json.dumps(item["segments_info"]).encode()]
            scoring.submit_png(truth["image_id"], *sides)
        return scoring.finalize()


def has_vernier() -> bool:
    """Whether vernier is installed."""
    with suppress(ImportError):
        import vernier.panoptic  # noqa: F401

        return True
    return False


def write_many(folder: Path, many: Path, num_images: int) -> None:
    """Write a set of ``num_images`` from the images of another: each PNG gets several names, by links."""
    for name in (LABELS, PREDICTIONS):
        (many / name).mkdir()
        content = read_json(folder / f"{name}.json", "the set")
        images, annotations = content["images"], content["annotations"]
        content["images"], content["annotations"] = [], []
        for place in range(num_images):
            image, found = images[place % len(images)], annotations[place % len(images)]
            file_name = f"{place + 1:012d}.png"
            os.link(folder / name / found["file_name"], many / name / file_name)
            content["images"].append({**image, "id": place + 1, "file_name": f"{place + 1:012d}.jpg"})
            content["annotations"].append({**found, "image_id": place + 1, "file_name": file_name})
        write_json(many / f"{name}.json", content)


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


def command_seconds(words: Sequence[str], bytecode: Path, all_cores: bool = False) -> tuple[float, float]:
    """CPU seconds of one command, with its processes, and seconds; compiled modules are in the folder ``bytecode``.

    On one core, unless ``all_cores``: what two cores do at once takes each of them longer, by how much depends on the
    machine.
    """
    cores = os.sched_getaffinity(0)
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(bytecode)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed packages are compiled
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with open(os.devnull, "wb") as nowhere:
        os.sched_setaffinity(0, cores if all_cores else {min(cores)})  # the command inherits it
        try:
            subprocess.run([sys.executable, *words], env=environment, stdout=nowhere, stderr=nowhere, check=True)
        finally:
            os.sched_setaffinity(0, cores)
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, ended - began


def commands_in_turns(commands: Mapping[str, Sequence[str]], rounds: int, bytecode: Path) -> Timings:
    """Time each command ``rounds`` times, after a round in which Python compiles what is not compiled yet."""
    seconds: dict[str, list[float]] = {way: [] for way in commands}
    for _ in range(rounds if bytecode.exists() else rounds + 1):
        for way, words in commands.items():
            seconds[way].append(command_seconds(words, bytecode)[0])
    return Timings({way: found[-rounds:] for way, found in seconds.items()})


def counting_alone(rounds: int, folder: Path) -> Timings:
    """Time the counting in processes of their own, as it runs in a command, without the start.

    The memory allocator makes the difference to timing both in one process: in a new one, hotcoco's buffers come from
    the system and go back to it with each image; after larger arrays, such as ours, glibc keeps them.
    """
    clock = "import time; began = time.process_time(); {}; print(time.process_time() - began)"
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tests")]
    ours = f"import sys; sys.path[:0] = {paths}; from pathlib import Path; from panoptic_quality import cv2, score"
    theirs = "from hotcoco import panoptic"
    labels, predictions = str(folder / f"{LABELS}.json"), str(folder / f"{PREDICTIONS}.json")
    codes = {
        "scaseg": f"{ours}; cv2.setNumThreads(1); {clock.format(f'score(Path({str(folder)!r}))')}",
        "hotcoco": f"{theirs}; {clock.format(f'panoptic.PanopticEval({labels!r}, {predictions!r}).evaluate()')}",
    }
    seconds: dict[str, list[float]] = {way: [] for way in codes}
    for _ in range(rounds):
        for way, code in codes.items():
            done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
            seconds[way].append(float(done.stdout))
    return Timings(seconds)


def commands_of(folder: Path) -> dict[str, list[str]]:
    """The commands to compare."""
    labels, predictions = str(folder / f"{LABELS}.json"), str(folder / PREDICTIONS)
    hotcoco = ["-c", "from hotcoco.cli import main; main()", "panoptic", "eval"]
    return {
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
    """Make the sets and time the ways of scoring them; fail if their figures differ."""
    num, num_many, rounds = NUM_IMAGES[options.size], NUM_MANY[options.size], options.rounds or 5
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="scaseg-benchmark-") as name:
        folder, many, one, bytecode = (Path(name) / part for part in ("few", "many", "one", "bytecode"))
        many.mkdir()
        write_set(folder, num, num_cores())
        write_maps(folder)
        write_many(folder, many, num_many)
        write_set(one, 1, 1)
        check(folder, NUM_PLAIN[options.size])
        ways: dict[str, Callable[[], object]] = {
            "scaseg": lambda: score(folder),
            "hotcoco": lambda: score_with_hotcoco(folder),
            "decoding": lambda: decode_all(folder),
            "scaseg, semantic": lambda: score_semantic(folder),
            "hotcoco, semantic": lambda: score_semantic_with_hotcoco(folder),
        }
        if has_vernier():
            ways["vernier"] = lambda: score_with_vernier(folder)
        work = in_turns(ways, rounds)
        ways_with_many: dict[str, Callable[[], object]] = {
            "scaseg": lambda: score(many),
            "hotcoco": lambda: score_with_hotcoco(many),
        }
        if has_vernier():
            ways_with_many["vernier"] = lambda: score_with_vernier(many)
        work_on_many = in_turns(ways_with_many, max(1, rounds // 3))
        alone = counting_alone(rounds, folder)
        starts = {"start": list(START), "scaseg, one image": commands_of(one)["scaseg"]}
        whole = commands_in_turns({**starts, **commands_of(folder)}, rounds, bytecode)
        whole_of_many = commands_in_turns(commands_of(many), max(1, rounds // 3), bytecode)
        on_all_cores = {way: command_seconds(words, bytecode, True) for way, words in commands_of(many).items()}
    of_vernier = {}
    if has_vernier():
        of_vernier["vernier's counting, all in one process, s of CPU time"] = work.median("vernier")
        of_vernier["counting / vernier's counting, all in one process"] = work.ratio("scaseg", "vernier")
        of_vernier[f"{num_many:,} images: counting / vernier's, all in one process"] = work_on_many.ratio(
            "scaseg", "vernier"
        )
    return Outcome(
        benchmark="panoptic_quality",
        device="cpu",
        size=options.size,
        ratio_of="scaseg evaluate --predictions / hotcoco's command",
        ratio=whole.ratio("scaseg", "hotcoco"),
        goal=Goal("at most", 1.3) if options.size == "published" else None,
        figures={
            "scaseg evaluate --predictions, s of CPU time": whole.median("scaseg"),
            "hotcoco's command, s of CPU time": whole.median("hotcoco"),
            "counting without start, s of CPU time": alone.median("scaseg"),
            "hotcoco's counting without start, s of CPU time": alone.median("hotcoco"),
            "counting / hotcoco's counting, without start": alone.ratio("scaseg", "hotcoco"),
            "counting, both in one process, s of CPU time": work.median("scaseg"),
            "hotcoco's counting, both in one process, s of CPU time": work.median("hotcoco"),
            "counting / hotcoco's counting, both in one process": work.ratio("scaseg", "hotcoco"),
            **of_vernier,
            "decoding alone, s of CPU time": work.median("decoding"),
            f"{num_many:,} images: whole command, s of CPU time": whole_of_many.median("scaseg"),
            f"{num_many:,} images: hotcoco's command, s of CPU time": whole_of_many.median("hotcoco"),
            f"{num_many:,} images: whole command / hotcoco's": whole_of_many.ratio("scaseg", "hotcoco"),
            f"{num_many:,} images on all cores: whole command / hotcoco's, CPU time": (
                on_all_cores["scaseg"][0] / on_all_cores["hotcoco"][0]
            ),
            f"{num_many:,} images on all cores: whole command / hotcoco's, clock": (
                on_all_cores["scaseg"][1] / on_all_cores["hotcoco"][1]
            ),
            f"{num_many:,} images: counting / hotcoco's, both in one process": work_on_many.ratio("scaseg", "hotcoco"),
            "semantic counting, s of CPU time": work.median("scaseg, semantic"),
            "hotcoco's semantic counting, s of CPU time": work.median("hotcoco, semantic"),
            "semantic counting / hotcoco's": work.ratio("scaseg, semantic", "hotcoco, semantic"),
            "start of scaseg evaluate --predictions, with one image, s of CPU time": whole.median("scaseg, one image"),
            "start / start of typer, rich, NumPy and OpenCV": whole.ratio("scaseg, one image", "start"),
        },
        notes=(
            f"{num} images of 640 x 480 pixels with eleven segments, void and crowds, in {NUM_CATEGORIES} classes; "
            f"{num_many:,} images are these under several names. For semantic counting, grey label maps of the same "
            "images. The figures of all, and of a plain reference, are the same.",
            "Goals: at most 1.3 for the whole command, 1.0 for counting, 1.5 for semantic counting, 1.6 for the start. "
            "Commands run on one core, except where it says all cores: both use two there, and slow themselves. "
            "Counting without start is timed in processes of their own, as it runs in a command. scaseg tells glibc to "
            "keep the memory of freed arrays. hotcoco's buffers often go back to the system with each image, as in its "
            "command for 300 images, which has 155,000 page faults. In its command for 5,000 glibc keeps them: 18,000 "
            "faults. scaseg's counting takes longer there: decoding alone takes most of hotcoco's time. kornia-rs "
            "decodes, with the same Rust crate as hotcoco, but as built there its filters take half as long again. "
            "Nothing faster was to be had as a wheel: OpenCV takes "
            "six times as long, libspng (pyspng) 2.4 times.",
            "Counting stays our own: it is what scaseg exists for, and its checks and notes need the pixels that "
            "segments share, which hotcoco does not return. With hotcoco as the engine the labels would be decoded a "
            "second time for them, which costs as much as the difference. kornia-rs does not release the GIL, so "
            "the command and further processes share sets of 2,000 images and more.",
        ),
        machine=machine_of("cpu"),
    )


def check(folder: Path, num_plain: int) -> None:
    """Assert that all ways of scoring give the same figures; the plain one on the first images."""
    found, theirs = score(folder).per_class(), score_with_hotcoco(folder).results()
    for category_id, class_id in CLASS_IDS.items():
        expected = theirs["per_class"][category_id]["pq"]  # -1: neither labels nor predictions have the class
        assert np.isclose(found.pq[class_id], np.nan if expected < 0 else expected, 0, 1e-9, True), category_id
    if has_vernier():
        assert np.isclose(score_with_vernier(folder).pq, theirs["All"]["pq"], 0, 1e-9)
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
