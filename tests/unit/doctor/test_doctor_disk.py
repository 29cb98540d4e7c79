"""Disk, permission and shared memory."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from scaseg_cli.base.network import build_network
from scaseg_cli.doctor import disk
from scaseg_cli.doctor.disk import (
    disk_findings,
    disk_needed,
    num_parameters,
    run_folder_findings,
    shared_memory_findings,
    shared_memory_needed,
)
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.tasks import task_of

ZPS = load_recipe("coco-zps")
GB = 1_000_000_000


class Usage(NamedTuple):
    free: int


def _free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free))


def test_a_run_folder_that_is_there_or_can_be_made(tmp_path: Path) -> None:
    (there,) = run_folder_findings(ZPS, RunDir(tmp_path))
    (new,) = run_folder_findings(ZPS, RunDir(tmp_path / "a" / "b"))
    assert (there.state, new.state) == ("ready", "ready")
    assert new.found.endswith("a/b can be created")
    assert not (tmp_path / "a").exists()


def test_a_run_folder_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (finding,) = run_folder_findings(ZPS, RunDir(tmp_path / "file" / "run"))
    assert (finding.state, finding.mend) == ("missing", "Choose another folder with --work-dir.")


def test_a_run_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    (finding,) = run_folder_findings(ZPS, RunDir(tmp_path / "run"))
    assert (finding.state, finding.found) == ("missing", f"{tmp_path} cannot be written")


def test_results_of_other_recipes_are_counted_and_can_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "run" / "kept" / "base" / "0123456789abcdef"
    kept.mkdir(parents=True)
    (kept / "base.safetensors").write_bytes(b"x" * 3_400)
    _free(monkeypatch, 1 * GB)
    (finding,) = disk_findings(ZPS, RunDir(tmp_path / "run"))
    assert "results of other recipes take 3.4 kB" in finding.found
    assert f"`scaseg clean {tmp_path / 'run'}`" in str(finding.mend)


@pytest.mark.parametrize(("free", "state"), [(100 * GB, "ready"), (1 * GB, "warning")])
def test_the_disk(free: int, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _free(monkeypatch, free)
    (finding,) = disk_findings(ZPS, RunDir(tmp_path / "run"))
    assert finding.state == state
    assert finding.found.startswith(f"{free / GB:.1f} GB free; the run needs up to 6.")


def test_the_estimate_grows_with_images_and_views() -> None:
    few, many = disk_needed(ZPS, 1000), disk_needed(ZPS, 101_000)
    assert many - few == 100_000 * 22 * 256 * 4 * 2
    assert disk_needed(load_recipe("coco-zps", ("queries.views=3",)), 101_000) - few > 2 * (many - few)


@pytest.mark.parametrize("name", ["coco-zps", "coco-zss", "shapes-zps"])
def test_parameters_are_counted_about_right(name: str) -> None:
    recipe = load_recipe(name)
    seen_SC = torch.nn.functional.normalize(torch.ones(119, 64), dim=-1)
    network = build_network(recipe.base, seen_SC, None, task_of(recipe))
    found = sum(parameter.numel() for parameter in network.parameters())
    assert num_parameters(recipe.base) == pytest.approx(found, rel=0.1)


@pytest.mark.parametrize(("free", "state"), [(16 * GB, "ready"), (64_000_000, "warning")])
def test_shared_memory(free: int, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "SHARED_MEMORY", tmp_path)
    _free(monkeypatch, free)
    (finding,) = shared_memory_findings(ZPS, RunDir(tmp_path))
    assert finding.state == state
    assert "--set base.workers=0" in (finding.mend or "--set base.workers=0")


def test_shared_memory_is_for_loaders_and_systems_that_have_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shared_memory_findings(load_recipe("shapes-zps"), RunDir(tmp_path)) == []
    monkeypatch.setattr(disk, "SHARED_MEMORY", tmp_path / "gone")
    assert shared_memory_findings(ZPS, RunDir(tmp_path)) == []


def test_shared_memory_is_two_batches_a_loader() -> None:
    one = shared_memory_needed(load_recipe("coco-zps", ("base.workers=1", "base.batch_size=1")))
    assert one == 2 * 1024 * 1024 * 15
    assert shared_memory_needed(ZPS) == 4 * 16 * one
