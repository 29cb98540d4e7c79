"""Tiny runs that are made once: one for all integration tests to look at, one to be damaged in copies."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from damaged_world import World, finish_run
from shared_folders import shared_folder
from tiny_runs import (
    SMALL_SEMANTIC,
    TRAIN_IN_TWO,
    TinyRun,
    copy_before_base,
    scaseg,
    scaseg_json,
    start_python,
    write_recipe,
)
from warm_python import PYTHON, warm_python

from scaseg_cli import pipeline
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """What a command run in this process starts begins with the network imported, in the tests of this folder alone."""
    sys.executable = warm_python()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Tests of other folders start Python as it is."""
    sys.executable = PYTHON


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """One uninterrupted run; tests must not change it."""

    def make(folder: Path) -> None:
        write_recipe(folder)
        report = scaseg_json(folder, "run", "-r", "tiny.yaml", starting=start_python)
        (folder / "report.json").write_text(json.dumps(report))

    folder = shared_folder(tmp_path_factory, "tiny", make)
    return TinyRun(folder, folder / "runs" / "tiny", json.loads((folder / "report.json").read_text()))


@pytest.fixture(scope="session")
def undisturbed(tiny_run: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The tiny run's base as two processes train it when nothing happens to them."""

    def make(folder: Path) -> None:
        copy_before_base(tiny_run, folder)
        scaseg(folder, *TRAIN_IN_TWO)

    folder = shared_folder(tmp_path_factory, "undisturbed", make)
    return (folder / "runs" / "tiny" / "base" / "base.safetensors").read_bytes()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run on data of its own, made in this process; tests must not change it."""
    return shared_folder(tmp_path_factory, "finished", finish_run)


@pytest.fixture(scope="session")
def semantic_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run of semantic segmentation lies in run/, with stage 1 alone; tests must not change it."""

    def make(folder: Path) -> None:
        pipeline.run_all(load_recipe("shapes-zss", SMALL_SEMANTIC), RunDir(folder / "run"))

    return shared_folder(tmp_path_factory, "semantic", make)


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
