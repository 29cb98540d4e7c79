"""Tiny runs that are made once: one for all integration tests to look at, one to be damaged in copies."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from damaged_world import World, finish_run
from tiny_runs import SMALL_SEMANTIC, TinyRun, scaseg_json, write_recipe

from scaseg_cli import pipeline
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """One uninterrupted run; tests must not change it."""
    folder = tmp_path_factory.mktemp("tiny")
    write_recipe(folder)
    report = scaseg_json(folder, "run", "-r", "tiny.yaml")
    return TinyRun(folder, folder / "runs" / "tiny", report)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run on data of its own, made in this process; tests must not change it."""
    folder = tmp_path_factory.mktemp("finished")
    finish_run(folder)
    return folder


@pytest.fixture(scope="session")
def semantic_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run of semantic segmentation lies in run/, with stage 1 alone; tests must not change it."""
    folder = tmp_path_factory.mktemp("semantic")
    pipeline.run_all(load_recipe("shapes-zss", SMALL_SEMANTIC), RunDir(folder / "run"))
    return folder


@pytest.fixture
def world(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[World]:
    """A copy of the finished run to be damaged; it is the current folder."""
    folder = tmp_path / "world"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    yield World(folder, capfd)
    monkeypatch.undo()
    shutil.rmtree(folder)
