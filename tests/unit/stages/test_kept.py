"""A changed recipe's result takes a place of its own, the older one is kept, and going back to it trains nothing."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe, recipe_of
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages import bring_back, is_done, recording, require, stage_key
from scaseg_cli.stages.kept import all_kept, find_kept

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe

OLD = load_recipe("shapes-zps")
NEW = load_recipe("shapes-zps", ("base.v2c.gamma=3.0",))
STAGES = ("data", "split", "embeddings", "base")


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "run")
    for stage in STAGES:
        finish(OLD, run, stage)
    return run


def finish(recipe: Recipe, run: RunDir, stage: str, text: str = "old") -> None:
    output = run.path / stage / "result.txt"
    with recording(recipe, run, stage, output) as summary:
        output.write_text(text)
        if stage == "split":
            summary.lists = {"classes": "c", "train": text, "selection": "s", "validation": "v"}


def files(run: RunDir) -> dict[str, bytes]:
    return {str(path.relative_to(run.path)): path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


def interrupt(recipe: Recipe, run: RunDir, progress: str | None = "half") -> None:
    """Begin stage 1, and stop it after it saved its progress, if any."""

    def stage() -> None:
        with recording(recipe, run, "base", run.path / "base" / "result.txt"):
            if progress is not None:
                (run.path / "base" / "progress.pt").write_text(progress)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage()


def test_going_back_to_the_first_recipe_finds_every_byte(run: RunDir) -> None:
    before = files(run)
    finish(NEW, run, "base", "new")
    assert (run.path / "base" / "result.txt").read_text() == "new"
    assert recipe_of(run.path) == NEW
    assert not is_done(OLD, run, "base")
    with pytest.raises(ScasegError, match=r"its result is kept in .*/kept/base/"):
        require(OLD, run, "base")
    assert bring_back(OLD, run, *STAGES) == ["base"]
    require(OLD, run, *STAGES)
    after = files(run)
    assert before.items() <= after.items()
    assert {name for name in after if name not in before} == {
        f"kept/base/{stage_key(NEW, run, 'base')[:16]}/{name}" for name in ("result.txt", "record.json")
    }
    assert bring_back(OLD, run, *STAGES) == []
    assert bring_back(NEW, run, *STAGES) == ["base"]
    assert bring_back(OLD, run, *STAGES) == ["base"]
    assert files(run) == after


def test_a_changed_split_is_kept_and_found_with_what_was_made_from_it(run: RunDir) -> None:
    other = load_recipe("shapes-zps", ("data.shapes.seed=9",))
    before = files(run)
    for stage in ("data", "split", "base"):
        finish(other, run, stage, "new")
    assert {kept.stage for kept in all_kept(run)} == {"data", "split", "base"}  # the classes are the same
    assert bring_back(OLD, run, *STAGES) == ["data", "split", "base"]
    assert before.items() <= files(run).items()


class Killed(BaseException):
    """Ends a command between two of its moves, as SIGKILL does: nothing after it runs."""


@pytest.fixture
def killed_after(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Lets so many renames happen, and refuses all after them, as if the process were gone."""
    left = [10_000]
    rename = os.rename

    def counted(source: Any, target: Any) -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1
        rename(source, target)

    monkeypatch.setattr(os, "rename", counted)
    yield left
    left[0] = 10_000


@pytest.mark.parametrize("moves", [0, 1])
def test_a_kill_between_two_moves_of_a_swap_loses_nothing(run: RunDir, killed_after: list[int], moves: int) -> None:
    finish(NEW, run, "base", "new")
    finished = sorted(files(run).values())
    killed_after[0] = moves
    with pytest.raises(Killed):
        bring_back(OLD, run, *STAGES)
    killed_after[0] = 10_000
    assert [content for content in finished if content not in files(run).values()] == []
    assert bring_back(OLD, run, *STAGES) == ["base"]
    assert (run.path / "base" / "result.txt").read_text() == "old"
    assert bring_back(NEW, run, *STAGES) == ["base"]
    assert (run.path / "base" / "result.txt").read_text() == "new"


def test_a_kill_before_the_new_result_begins_leaves_the_older_one_to_be_found(
    run: RunDir, killed_after: list[int]
) -> None:
    interrupt(NEW, run)
    assert is_done(OLD, run, "base")
    assert recipe_of(run.path) == OLD
    before = files(run)
    killed_after[0] = 1
    with pytest.raises(Killed):
        finish(NEW, run, "base", "new")
    killed_after[0] = 10_000
    assert not (run.path / "base").exists()
    assert sorted(files(run).values()) == sorted(before.values())
    assert bring_back(OLD, run, *STAGES) == ["base"]
    assert find_kept(run, "base", stage_key(NEW, run, "base")) is not None


def test_unfinished_progress_waits_for_its_recipe(run: RunDir) -> None:
    before = files(run)
    interrupt(NEW, run, "half of the new one")
    assert before.items() <= files(run).items()  # the finished result is where it was, with its recipe
    (kept,) = all_kept(run)
    assert (kept.state, kept.key) == ("unfinished", stage_key(NEW, run, "base"))
    with recording(NEW, run, "base", run.path / "base" / "result.txt"):
        assert (run.path / "base" / "progress.pt").read_text() == "half of the new one"
        (run.path / "base" / "result.txt").write_text("new")
    assert [kept.state for kept in all_kept(run)] == ["finished"]
    assert bring_back(OLD, run, *STAGES) == ["base"]


def test_without_progress_an_interrupted_stage_leaves_nothing(run: RunDir) -> None:
    before = files(run)
    interrupt(NEW, run, None)
    assert files(run) == before


def test_progress_of_a_killed_stage_is_set_aside_and_resumed_too(run: RunDir, killed_after: list[int]) -> None:
    interrupt(NEW, run, "half")
    killed_after[0] = 2  # the finished one aside, and the progress back; then nothing is put back

    def stage() -> None:
        with recording(NEW, run, "base", run.path / "base" / "result.txt"):
            raise KeyboardInterrupt

    with pytest.raises(Killed):
        stage()
    killed_after[0] = 10_000
    assert bring_back(OLD, run, *STAGES) == ["base"]
    assert [kept.state for kept in all_kept(run)] == ["unfinished"]


def test_a_result_whose_files_have_changed_is_not_put_back(run: RunDir) -> None:
    finish(NEW, run, "base", "new")
    (kept,) = all_kept(run)
    (kept.folder / "result.txt").write_text("changed")
    assert bring_back(OLD, run, *STAGES) == []
    assert (run.path / "base" / "result.txt").read_text() == "new"


@pytest.mark.parametrize("record", ["{", '{"key": 1}', None])
def test_a_damaged_kept_result_hinders_nothing(run: RunDir, record: str | None) -> None:
    finish(NEW, run, "base", "new")
    (kept,) = all_kept(run)
    path = kept.folder / "record.json"
    path.unlink() if record is None else path.write_text(record)
    assert [kept.state for kept in all_kept(run)] == ["damaged"]
    assert bring_back(OLD, run, *STAGES) == []
    finish(OLD, run, "base")
    require(OLD, run, *STAGES)


def test_a_link_among_what_is_kept_is_not_followed(run: RunDir, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (run.path / "kept").symlink_to(elsewhere)
    with pytest.raises(ScasegError, match="is a link"):
        finish(NEW, run, "base", "new")
    assert list(elsewhere.iterdir()) == []
    assert is_done(OLD, run, "base")


def test_what_has_no_known_key_stays_where_it_is(run: RunDir) -> None:
    """Older versions left progress in the folder of the stage, and said nowhere of which recipe."""
    (run.path / "base" / "record.json").unlink()
    (run.path / "base" / "progress.pt").write_text("older")
    with recording(NEW, run, "base", run.path / "base" / "result.txt"):
        assert (run.path / "base" / "progress.pt").read_text() == "older"
    assert all_kept(run) == []


def test_the_record_has_the_recipes_values(run: RunDir) -> None:
    record = json.loads(run.record_file("base").read_text())
    assert record["recipe"]["base"]["v2c"]["gamma"] == OLD.base.v2c.gamma
    assert "checkpoint_every" not in record["recipe"]["base"]  # it does not change the result
    assert not run.begun_file("base").exists()
