"""JSON is read with limits: nesting, numbers, names that no file can have, and values of another kind."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from stage_records import RECORD

from scaseg_cli.ablations.figures import _summary
from scaseg_cli.ablations.jobs.job_files import read_outcome, runs_of
from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.semantic import read_index
from scaseg_cli.errors import ScasegError, explained
from scaseg_cli.evaluation.choices_file import ChoicesFile, read_choices
from scaseg_cli.files import MAX_DEPTH, can_be_named, inside, read_json, write_json
from scaseg_cli.html_report.curves import read_base_losses, read_generator_losses
from scaseg_cli.recipe.data_section import ImageSet
from scaseg_cli.results.table import Column, Table, read_table
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import read_classes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _nested(depth: int) -> str:
    return '{"a":' * (depth // 2) + "[" * (depth - depth // 2) + "]" * (depth - depth // 2) + "}" * (depth // 2)


def test_the_limit_of_nesting(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(_nested(MAX_DEPTH))
    assert read_json(path, "the file")
    for depth, said in ((MAX_DEPTH + 1, "nested more than 100 deep"), (1023, "nested more"), (5000, "not valid JSON")):
        path.write_text(_nested(depth))
        with pytest.raises(ScasegError, match=rf"the file .*a\.json .*{said}"):
            read_json(path, "the file")


@pytest.mark.parametrize("number", ["1e999", "-1e999", "Infinity", "-Infinity", "9" * 30, "9" * 5000, "NaN, 1e999"])
def test_numbers_that_json_does_not_have(number: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(f"[NaN, {number}]")
    with pytest.raises(ScasegError, match=r"a\.json is not valid JSON") as caught:
        read_json(tmp_path / "a.json", "the file", "the hint")
    assert caught.value.hint == "the hint"
    (tmp_path / "a.json").write_text("[NaN, 1.5e3, 7]")
    assert read_json(tmp_path / "a.json", "the file") == [None, 1500.0, 7]


def test_scalars_and_names_in_a_path(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("3")
    assert read_json(tmp_path / "a.json", "the file") == 3
    for missing in (tmp_path / "b.json", tmp_path, tmp_path / "a.json" / "c.json"):
        with pytest.raises(ScasegError, match=r"does not exist|is a folder"):
            read_json(missing, "the file")
    with pytest.raises(ScasegError, match="cannot be read: File name too long"):
        read_json(tmp_path / ("x" * 256), "the file")


@pytest.mark.parametrize("name", ["a\0b.png", "x" * 256, "é" * 128, "a/" * 2100 + "b", f"a/{'x' * 256}/b", "\ud800"])
def test_names_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    assert not can_be_named(["a.png", name])
    with pytest.raises(ScasegError, match=r"the image has the file name .*, which no file can have") as caught:
        inside(tmp_path, name, "the image")
    assert len(caught.value.message) < 300


def test_the_longest_names(tmp_path: Path) -> None:
    assert can_be_named([])
    assert can_be_named(["x" * 255, "é" * 127, "/".join(["x" * 200] * 20)])
    assert inside(tmp_path, "x" * 255, "the image") == tmp_path / ("x" * 255)


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EIO])
def test_errors_of_paths_are_the_users(number: int) -> None:
    told = explained(OSError(number, "the reason", "x" * 5000))
    assert told is not None
    assert len(told.message) < 250
    assert told.hint


def test_links_that_lead_to_each_other(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises((RuntimeError, OSError)) as caught:
        (tmp_path / "loop").resolve(strict=True)
    told = explained(caught.value)
    assert told is not None
    assert str(tmp_path / "loop") in told.message


def test_memory_that_torch_does_not_get() -> None:
    told = explained(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"))
    assert told is not None
    assert told.message.startswith("out of memory")


SEGMENT = {"id": 1, "category_id": 1, "area": 4, "bbox": [0, 0, 2, 2], "iscrowd": 0}
ANNOTATIONS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a list as a category's id": (lambda c: c["categories"][0].update(id=[1]), r"id is \[1\], not a whole number"),
    "a list as a category's name": (lambda c: c["categories"][0].update(name=[1]), r"name is \[1\], not text"),
    "a mapping as isthing": (lambda c: c["categories"][0].update(isthing={}), r"isthing is \{\}, not 0 or 1"),
    "a list as an image's id": (lambda c: c["images"][0].update(id=[1]), r"id is \[1\], not a whole number"),
    "a huge id": (lambda c: c["images"][0].update(id=10**30), r"images\[0\]: id is 1e\+30, not a whole number"),
    "a huge segment id": (lambda c: c["annotations"][0]["segments_info"][0].update(id=10**15), "is not in 1.."),
    "a list as a segment's id": (lambda c: c["annotations"][0]["segments_info"][0].update(id=[1]), r"id is \[1\]"),
    "NUL in a name": (lambda c: c["images"][0].update(file_name="a\0b"), r"'a\\x00b', which no file can have"),
    "a long name": (lambda c: c["annotations"][0].update(file_name="x" * 5000), "which no file can have: it is too"),
    "a long list": (lambda c: c["images"][0].update(width=[1] * 5000), r"width is \[1, 1"),
    "nested": (lambda c: c["images"][0].update(width=json.loads("[" * 90 + "]" * 90)), r"width is \[\[\["),
    "nested deeper": (lambda c: c["images"][0].update(width=json.loads("[" * 400 + "]" * 400)), "nested more than 100"),
}  # fmt: skip


@pytest.mark.parametrize("name", ANNOTATIONS)
def test_annotations(name: str, tmp_path: Path) -> None:
    content: dict[str, Any] = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 2, "height": 2}],
        "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": [dict(SEGMENT)]}],
        "categories": [{"id": 1, "name": "cat", "isthing": 1}],
    }
    write_json(tmp_path / "a.json", content)
    where = ImageSet(images="images", annotations="a.json", labels="labels")
    assert read_panoptic_set(tmp_path, where).images[0].image_id == 1
    change, said = ANNOTATIONS[name]
    change(content)
    write_json(tmp_path / "a.json", content)
    with pytest.raises(ScasegError, match=rf"(?s)a\.json.*{said}") as caught:
        read_panoptic_set(tmp_path, where)
    assert len(caught.value.message) < 400


RECORDS: dict[str, tuple[Any, str]] = {
    "a list": ([], "Expected `object`, got `array`"),
    "nothing": (None, "Expected `object`, got `null`"),
    "no key": ({"outputs": {}}, "missing required field"),
    "a list of outputs": (RECORD | {"outputs": []}, r"got `array` - at `\$\.outputs`"),
    "an output without a hash": (RECORD | {"outputs": {"a": {}}}, r"missing required field `sha256`"),
    "a size in words": (RECORD | {"outputs": {"a": {"sha256": "", "bytes": "many"}}}, "Expected `int`, got `str`"),
    "an output elsewhere": (RECORD | {"outputs": {"../a": {"sha256": "", "bytes": 1}}}, "leads out of"),
    "an output with NUL": (RECORD | {"outputs": {"a\0": {"sha256": "", "bytes": 1}}}, "which no file can have"),
    "seconds in words": (RECORD | {"seconds": "soon"}, r"Expected `float`, got `str` - at `\$\.seconds`"),
    "a list of needs": (RECORD | {"needs": {"split": []}}, "Expected `str | null`, got `array`"),
    "a number as a version": (RECORD | {"versions": {"torch": 2}}, "Expected `str`, got `int`"),
    "a list as a commit": (RECORD | {"commit": []}, "Expected `str | null`"),
    "a list as a summary": (RECORD | {"summary": []}, "Expected `object`, got `array`"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_records(name: str, tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.folder("base")
    run.write_record("base", RECORD)
    assert run.record("base") == RECORD
    content, said = RECORDS[name]
    run.write_record("base", content)
    with pytest.raises(ScasegError, match=rf"the stage's record .*base/record\.json .*{said}"):
        run.record("base")


FIGURE = {"model": "method", "step": 4, "increment": 0.5, "seen": 0.5, "unseen": None, "harmonic": 0.25}
CHOSEN = {"base": FIGURE, "method": FIGURE, "method_increment": FIGURE, "control": None}
CHOICES = {"measure": "pq", "chosen": CHOSEN, "figures": [FIGURE]}


def test_choices(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    write_json(run.choices_file, CHOICES)
    assert read_choices(run) == msgspec.convert(CHOICES, ChoicesFile)
    for wrong in (
        [], {}, CHOICES | {"chosen": []}, CHOICES | {"chosen": {"base": FIGURE}}, CHOICES | {"measure": "ap"},
        CHOICES | {"figures": [FIGURE | {"step": "x"}]}, CHOICES | {"figures": [FIGURE | {"step": 10**18}]},
        CHOICES | {"chosen": CHOSEN | {"control": 5}}, CHOICES | {"figures": [FIGURE | {"harmonic": 1e300}]},
    ):  # fmt: skip
        write_json(run.choices_file, wrong)
        with pytest.raises(ScasegError, match=r"union-finetune .*choices\.json is not what scaseg wrote") as caught:
            read_choices(run)
        assert "scaseg union-finetune" in str(caught.value.hint)


CURVES = [
    "", "iteration\n1\n2,3\n", "a,b\n1,2\n", "iteration,loss\n1,x\n", "iteration,loss\n1,nan\n",
    "iteration,loss\n1,1e300\n", "iteration,loss\n1\n", "iteration,loss\n1," + "9" * 200_000, "\xff",
    "iteration,loss\n\0",
]  # fmt: skip


@pytest.mark.parametrize("text", CURVES, ids=range(len(CURVES)))
def test_curves(text: str, tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    path = run.folder("base") / "losses.csv"
    path.write_text("iteration,loss\n1,2\n3,4\n")
    assert read_base_losses(run).values == {"loss": [2.0, 4.0]}
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ScasegError, match=r"losses\.csv is not a table of losses"):
        read_base_losses(run)


@pytest.mark.parametrize("rows", [[{"iteration": 1, "a": 2}, {"iteration": 2}], [{"iteration": [1]}], [[]], {"a": 1}])
def test_the_generators_curve(rows: Any, tmp_path: Path) -> None:
    write_json(tmp_path / "cat" / "curve.json", rows)
    with pytest.raises(ScasegError, match=r"curve\.json is not a table of losses"):
        read_generator_losses(RunDir(tmp_path))


TABLE = Table("t", [Column("a", "A"), Column("b", "B", "percent", spread="c"), Column("d", "D", "flag")], [], ["n"])
ROW = {"a": "x", "b": 0.5, "c": 0.1, "d": True}


def test_tables(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    stored = TABLE.as_json_value() | {"rows": [ROW, dict.fromkeys(ROW)]}
    write_json(path, stored)
    assert read_table(path).rows == [ROW, dict.fromkeys(ROW)]
    for change in (
        {"rows": [{"a": "x"}]}, {"rows": [ROW | {"e": 1}]}, {"rows": [ROW | {"b": "x"}]}, {"rows": [ROW | {"b": True}]},
        {"rows": [ROW | {"c": "x"}]}, {"rows": [ROW | {"d": 1}]}, {"rows": [ROW | {"a": [1]}]}, {"rows": {}},
        {"columns": [{"key": "a"}]}, {"columns": [{"key": "a", "title": "A", "kind": "odd"}]}, {"notes": [1]},
        {"title": None},
    ):  # fmt: skip
        write_json(path, stored | change)
        with pytest.raises(ScasegError, match=r"the table .*t\.json is not what scaseg wrote"):
            read_table(path)
    for other in ([], 5, {}):
        write_json(path, other)
        with pytest.raises(ScasegError, match="is not what scaseg wrote"):
            read_table(path)


def test_class_lists_of_the_split(tmp_path: Path) -> None:
    seen = {"name": "a", "category_id": 1, "isthing": True, "seen": True}
    unseen = {"name": "b", "category_id": 2, "isthing": True, "seen": False}
    run = RunDir(tmp_path)
    write_json(run.classes_file, {"task": "zps", "classes": [seen, unseen]})
    assert read_classes(run).num_seen == 1
    for classes in ([unseen, seen], [seen, seen], [seen, unseen | {"category_id": 1}], [seen, unseen | {"name": "a"}]):
        write_json(run.classes_file, {"task": "zps", "classes": classes})
        with pytest.raises(ScasegError, match="has a class twice, or a seen class after an unseen one"):
            read_classes(run)


def test_indexes_of_label_maps(tmp_path: Path) -> None:
    classes = [{"id": 0, "name": "a", "isthing": False, "color": None, "value": 0}]
    image = {"image_id": 1, "file_name": "a.jpg", "label_name": "a.png", "width": 2, "height": 2, "pixels": {"0": 4}}
    path, where = tmp_path / "index.json", ImageSet(images="images", labels="labels")
    write_json(path, {"classes": classes, "images": [image]})
    assert read_index(path, tmp_path, where).images[0].segments[0].area == 4
    for change in (
        {"pixels": {"7": 4}}, {"pixels": {"0": -1}}, {"width": 0}, {"width": 10**30}, {"file_name": "../a"},
        {"label_name": "a\0"}, {"file_name": "x" * 300}, {"image_id": [1]}, {"pixels": []},
    ):  # fmt: skip
        write_json(path, {"classes": classes, "images": [image | change]})
        with pytest.raises(ScasegError, match=r"index\.json is not an index of label maps"):
            read_index(path, tmp_path, where)
    for wrong in ([*classes, *classes], [classes[0] | {"value": 70_000}], [classes[0] | {"color": [1, 2, 300]}]):
        write_json(path, {"classes": wrong, "images": [image]})
        with pytest.raises(ScasegError, match=r"index\.json is not an index of label maps"):
            read_index(path, tmp_path, where)


def test_summaries_and_jobs_of_ablations(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.folder("evaluation")
    run.write_record("evaluation", RECORD | {"summary": {"inductive": {"seen": {"pq": "high"}}}})
    with pytest.raises(ScasegError, match=r"the summary in .*record\.json is not what scaseg wrote.*`str`"):
        _summary(run)
    write_json(tmp_path / "job.json", {"stage": "base", "runs": [3]})
    with pytest.raises(ScasegError, match=r"the job .*job\.json is not what scaseg wrote"):
        runs_of(tmp_path / "job.json")
    write_json(tmp_path / "job.outcome.json", ["a"])
    with pytest.raises(ScasegError, match=r"the job's outcome .*is not what scaseg wrote"):
        read_outcome(tmp_path / "job.json", "killed")
