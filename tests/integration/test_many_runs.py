"""Many runs scored in one pass, and one pass in several processes: what is written is the same to the last byte."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scaseg_cli import pipeline
from scaseg_cli.base.segmentor import Segmentor
from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.evaluate import evaluate, evaluate_all
from scaseg_cli.evaluation.pictures.examples import NUM_EXAMPLES
from scaseg_cli.recipe import load_recipe
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages import is_done
from scaseg_cli.union.finetune import union_finetune_all

if TYPE_CHECKING:
    from damaged_world import World

    from scaseg_cli.evaluation.shared_pass import RecipeRun
    from scaseg_cli.recipe.schema import Recipe

OTHER = ("record.json", "tensorboard")  # which have times in them
NUM_SELECTION, NUM_VALIDATION = 10, 13
SMALL = (
    "threads=1", "data.shapes.num_train=40", f"data.shapes.num_selection={NUM_SELECTION}",
    f"data.shapes.num_validation={NUM_VALIDATION}", "base.iterations=12", "base.batch_size=4", "base.warmup=0",
    "cat.iterations=5", "cat.batch_size=32", "union.iterations=6", "union.batch_size=32", "union.candidates=2",
    "union.learning_rate=0.01", "evaluation.increments=[1.0, 2.0]", "evaluation.batch_size=4",
    "evaluation.object_threshold=0", "evaluation.overlap_threshold=0.1",
)  # fmt: skip


def recipe_with(*changes: str) -> Recipe:
    return load_recipe("shapes-zss", (*SMALL, *changes))


@pytest.fixture(scope="session")
def semantic_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run; tests must not change it."""
    run = RunDir(tmp_path_factory.mktemp("semantic"))
    pipeline.run_all(recipe_with(), run)
    return run.path


@pytest.fixture
def make_cell(semantic_run: Path, tmp_path: Path) -> Any:
    def make(name: str, *changes: str) -> RecipeRun:
        run = RunDir(tmp_path / name)
        shutil.copytree(semantic_run, run.path)
        return recipe_with(*changes), run

    return make


@pytest.fixture
def segmented(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Images of each call of the network, as long as the test runs."""
    calls: list[int] = []
    encode, match = Segmentor.encode, Segmentor.match

    def encode_counted(self: Segmentor, images: list[Any]) -> Any:
        calls.append(len(images))
        return encode(self, images)

    def match_counted(self: Segmentor, batch: dict[str, list[Any]]) -> Any:
        calls.append(len(batch["inputs"]))
        return match(self, batch)

    monkeypatch.setattr(Segmentor, "encode", encode_counted)
    monkeypatch.setattr(Segmentor, "match", match_counted)
    return calls


def contents(run: RunDir, stage: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run.path / stage).iterdir() if path.name not in OTHER}


def record(run: RunDir, stage: str) -> dict[str, Any]:
    found = run.record(stage)
    assert found is not None
    return {**found, "seconds": None}


def test_runs_scored_together_write_what_each_writes_alone(make_cell: Any, segmented: list[int]) -> None:
    changes = ((), ("union.learning_rate=0.05",), ("union.unseen_weight=1", "evaluation.inductive_increment=2.5"))
    together = [make_cell(f"together-{i}", *own) for i, own in enumerate(changes)]
    alone = [make_cell(f"alone-{i}", *own) for i, own in enumerate(changes)]
    assert all(isinstance(report, StageReport) for report in union_finetune_all(together))
    assert sum(segmented) == NUM_SELECTION
    assert all(isinstance(report, StageReport) for report in evaluate_all(together))
    assert sum(segmented) == NUM_SELECTION + NUM_VALIDATION + NUM_EXAMPLES
    for cell, own in zip(together, alone, strict=True):
        pipeline.union_finetune(*own)
        evaluate(*own)
        for stage in ("union", "evaluation"):
            assert contents(cell[1], stage) == contents(own[1], stage)
            assert record(cell[1], stage) == record(own[1], stage)
            assert is_done(*cell, stage)
    tables = [json.loads(run.results_file.read_text())["rows"] for _, run in together]
    assert all(any(row["siou"] + row["uiou"] > 0 for row in rows) for rows in tables)
    assert tables[0] != tables[1] != tables[2]


def test_a_run_that_lacks_a_stage_stops_no_other(make_cell: Any) -> None:
    missing, whole = make_cell("missing"), make_cell("whole")
    shutil.rmtree(missing[1].path / "union")
    error, report = evaluate_all([missing, whole])
    assert isinstance(error, ScasegError)
    assert "no finished union stage" in error.message
    assert isinstance(report, StageReport)
    assert is_done(*whole, "evaluation")
    with pytest.raises(ScasegError, match="no finished union stage"):
        evaluate(*missing)


def test_two_processes_write_what_one_writes(make_cell: Any, segmented: list[int]) -> None:
    one, two = make_cell("one", "union.pseudo_unseen=3"), make_cell("two", "union.pseudo_unseen=3", "processes=2")
    pipeline.union_finetune(*one)
    pipeline.evaluate(*one)
    segmented.clear()
    pipeline.union_finetune(*two)
    pipeline.evaluate(*two)
    assert sum(segmented) == NUM_EXAMPLES  # here; the rest was done elsewhere
    for stage in ("union", "evaluation"):
        found = contents(two[1], stage)
        found.pop("workers.log")
        assert found == contents(one[1], stage)
    assert record(two[1], "evaluation")["processes"] == 2
    assert record(two[1], "evaluation")["outputs"] == record(one[1], "evaluation")["outputs"]


def test_two_processes_give_the_panoptic_table_of_one(world: World) -> None:
    changes = ("object_threshold=0", "overlap_threshold=0", "setting=inductive")
    options = [word for change in changes for word in ("--set", f"evaluation.{change}")]
    tables = []
    for processes in ("1", "2"):
        assert world.scaseg("evaluate", *options, "--processes", processes).code == 0
        tables.append({path.name: path.read_bytes() for path in Path("run/evaluation").glob("*.json")})
        tables[-1].pop("record.json")
    assert tables[0] == tables[1]
    rows = json.loads(tables[0]["per-class.json"])["rows"]
    assert sum(row["fp"] for row in rows) > 20
    assert sum(row["tp"] + row["fn"] for row in rows) > 20


def test_what_a_process_meets_in_scoring_is_told_by_image(world: World) -> None:
    broken = max(Path("data/validation").iterdir())
    broken.write_bytes(b"no image")
    world.refuses("evaluate", "--processes", "2", saying=(broken.name,))
    assert not list(Path("run/evaluation").glob("scoring-*"))
