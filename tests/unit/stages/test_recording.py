"""What a failed stage leaves of the older result, and the errors for files that have changed since."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages import is_done, recording, require

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


def _finish(recipe: Recipe, run: RunDir, stage: str = "embeddings", text: str = "old") -> Path:
    output = run.path / stage / "result.txt"
    with recording(recipe, run, stage, output):
        output.write_text(text)
    return output


def _files(run: RunDir) -> dict[str, bytes]:
    return {str(path.relative_to(run.path)): path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


def _fails(recipe: Recipe, run: RunDir, error: BaseException, before: Callable[[], object] = lambda: None) -> None:
    finished_before = is_done(recipe, run, "embeddings")

    def stage() -> None:
        with recording(recipe, run, "embeddings", run.path / "embeddings" / "result.txt"):
            killed_now = is_done(recipe, run, "embeddings")
            assert killed_now == finished_before  # of this recipe; another recipe's result is kept elsewhere
            before()
            raise error

    with pytest.raises(type(error)):
        stage()


@pytest.mark.parametrize("error", [ScasegError("wrong"), KeyboardInterrupt(), RuntimeError("bug")])
def test_a_stage_that_fails_before_it_replaces_a_file_leaves_the_older_result(
    run: RunDir, error: BaseException
) -> None:
    older = load_recipe("shapes-zps")
    _finish(older, run)
    files = _files(run)
    _fails(load_recipe("shapes-zps", ("embeddings.templates=vild",)), run, error)
    assert _files(run) == files
    assert is_done(older, run, "embeddings")


def test_the_older_recipe_comes_back_byte_for_byte_whatever_is_in_it(run: RunDir) -> None:
    _finish(load_recipe(), run)
    run.recipe_file.write_bytes(b"name: \xff")
    before = _files(run)
    _fails(load_recipe(), run, ScasegError("no"))
    assert _files(run) == before


def test_a_stage_that_fails_after_it_replaced_a_file_has_not_finished(run: RunDir) -> None:
    recipe = load_recipe("shapes-zps")
    output = _finish(recipe, run)
    _fails(recipe, run, ScasegError("wrong"), before=lambda: output.write_text("new"))
    assert not is_done(recipe, run, "embeddings")
    with pytest.raises(ScasegError, match=r"result\.txt is not what the embeddings stage wrote"):
        require(recipe, run, "embeddings")


def test_a_first_try_that_fails_has_not_finished(run: RunDir) -> None:
    _fails(load_recipe("shapes-zps"), run, ScasegError("wrong"))
    assert run.record("embeddings") is None


def test_the_recipe_of_a_stage_is_there_from_its_beginning(run: RunDir) -> None:
    recipe = load_recipe("shapes-zps", ("seed=5",))
    with recording(recipe, run, "split"):
        assert load_recipe(str(run.recipe_file)) == recipe


@pytest.mark.parametrize(("change", "said"), [("new", "has changed since"), (None, "is gone")])
def test_a_file_that_changed_since_is_named_rather_than_the_recipe(
    run: RunDir, tmp_path: Path, change: str | None, said: str
) -> None:
    names = tmp_path / "unseen.txt"
    names.write_text("red ring\n")
    recipe = load_recipe("shapes-zps", (f"split.unseen={names}",))
    for stage in ("data", "split", "embeddings"):
        _finish(recipe, run, stage)
    require(recipe, run, "embeddings")
    names.unlink() if change is None else names.write_text(change)
    with pytest.raises(ScasegError) as caught:
        require(recipe, run, "embeddings")  # it depends on the split, which read the file
    assert str(names) in caught.value.message
    assert said in caught.value.message
    assert "recipe" not in caught.value.message


def test_another_recipe_is_said_to_be_another_recipe(run: RunDir) -> None:
    _finish(load_recipe("shapes-zps"), run)
    with pytest.raises(ScasegError, match=r"made by another recipe: embeddings\.templates was .*, is vild"):
        require(load_recipe("shapes-zps", ("embeddings.templates=vild",)), run, "embeddings")
