"""Annotation files, predictions and PNGs that are odd in a few places: read, or refused with a sentence."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from cases import assert_succeeds_or_explains, cases
from hypothesis import given
from hypothesis import strategies as st
from mutations import as_json, mutated, mutated_bytes, mutated_png, mutated_text
from panoptic_files import panoptic_json, striped, write_panoptic_set
from PIL import Image
from prediction_files import strips, write_pairs
from semantic_files import CLASSES, columns, write_maps
from semantic_files import write_classes as write_class_list

from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.images import read_image, read_label
from scaseg_cli.data.label_maps import count_values, read_map
from scaseg_cli.data.segment_png import CodeReader, silent_decoder
from scaseg_cli.errors import ScasegError
from scaseg_cli.external.evaluate_predictions import score_predictions
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.split import split_dataset

PARTS = {
    "train": [striped(1, 1, 100), striped(2, 1, 3)],
    "selection": [striped(11, 1, 7)],
    "validation": [striped(21, 3, 7)],
}
SETS = tuple(
    f"data.{part}={{images: {part}, annotations: annotations/{part}.json, labels: annotations/{part}}}"
    for part in PARTS
)
ZPS = ("data.shapes=null", "data.root=.", "split.unseen=[cow]", *SETS)
ZSS = (
    "data.root=.", "split.unseen=[sky]", "data.categories=classes.json", "data.shapes=null", "data.selection=null",
    *(f"data.{part}={{images: {part}, labels: maps/{part}}}" for part in ("train", "validation")),
)  # fmt: skip
PREDICTIONS = [strips("1122..", {1: 1, 2: 100}, "113322", {1: 1, 2: 100, 3: 3}), strips("11", {1: 7}, "11", {1: 7})]


def _text(draw: Any, value: Any) -> str:
    return as_json(draw(mutated(value))) if draw(st.integers(0, 3)) else draw(mutated_text(json.dumps(value)))


@given(data=st.data())
@cases(share=2)
def test_annotations(data: Any) -> None:
    root = _panoptic_world()
    content = panoptic_json(PARTS["train"])
    recipe = load_recipe("shapes-zps", ZPS)
    path = root / "annotations" / "train.json"
    path.write_text(_text(data.draw, content), encoding="utf-8", errors="surrogatepass")
    try:
        assert_succeeds_or_explains("annotations", lambda: split_dataset(recipe, RunDir(root / "run")))
    finally:
        path.write_text(json.dumps(content))


def _panoptic_world() -> Path:
    root = Path()
    if not (root / "annotations").exists():
        for part, images in PARTS.items():
            write_panoptic_set(root, part, images)
    return root


@given(data=st.data())
@cases(share=2)
def test_class_lists(data: Any) -> None:
    root = Path()
    if not (root / "maps").exists():
        write_maps(root, "train", {"a": columns(0, 1), "b": columns(1, 2)})
        write_maps(root, "validation", {name: columns(0, 1, 2, 255) for name in "cdefghijkl"})
        write_class_list(root)
    (root / "classes.json").write_text(_text(data.draw, list(CLASSES)), encoding="utf-8", errors="surrogatepass")
    recipe = load_recipe("shapes-zss", ZSS)
    assert_succeeds_or_explains("annotations", lambda: split_dataset(recipe, RunDir(root / "run")))


@given(data=st.data())
@cases()
def test_predictions(data: Any) -> None:
    root = Path()
    if not (root / "labels").exists():
        write_pairs(root, PREDICTIONS)
        (root / "valid.json").write_text((root / "predictions.json").read_text())
    content = json.loads((root / "valid.json").read_text())
    content["categories"] = json.loads((root / "labels.json").read_text())["categories"]
    text = _text(data.draw, content)
    (root / "predictions.json").write_text(text, encoding="utf-8", errors="surrogatepass")
    assert_succeeds_or_explains("predictions", lambda: score_predictions(root / "predictions", root / "labels.json"))


def _png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


COLOURS = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3) // 30
PNGS = {
    "RGB": _png(Image.fromarray(COLOURS)),
    "RGBA": _png(Image.fromarray(COLOURS).convert("RGBA")),
    "palette": _png(Image.fromarray(COLOURS).quantize(8)),
    "grey": _png(Image.fromarray(COLOURS[..., 0])),
    "16 bits": _png(Image.fromarray(COLOURS[..., 0].astype(np.uint16) * 3)),
}


@given(data=st.data())
@cases()
def test_png(data: Any) -> None:
    root = _panoptic_world()
    content = PNGS[data.draw(st.sampled_from(sorted(PNGS)))]
    odd = data.draw(st.one_of(mutated_png(content), mutated_png(content), mutated_bytes(content)))
    labelled = read_panoptic_set(root, write_panoptic_set(root, "train", PARTS["train"]))
    record = labelled.images[0]
    path = labelled.label_path(record)
    path.write_bytes(odd)

    def read_all() -> None:
        refusals = []
        for read in (
            lambda: read_label(labelled, record),
            lambda: CodeReader().read(path, record.width, record.height),
            lambda: count_values(read_map(path, (8, 6), "its image")),
            lambda: read_image(path, record),
            lambda: read_image(path, turned=True),
        ):
            try:
                read()
            except ScasegError as error:
                refusals.append(error)
        if refusals:
            raise refusals[0]

    with silent_decoder():
        assert_succeeds_or_explains("PNG", read_all)
