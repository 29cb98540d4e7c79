"""Links inside a run folder are refused before anything behind them changes; a run folder that is a link is fine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from command_line import Outcome, contents, scaseg
from damaged_world import check_refusal

from scaseg_cli.ablations.store import Store
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import write_text
from scaseg_cli.pipeline import run_all
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = tuple(f"data.shapes.num_{name}" for name in ("train=6", "selection=3", "validation=3"))
SPLIT = ("split-dataset", "-w", "run", *(word for change in SMALL for word in ("--set", change)))


@pytest.fixture
def split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[[], Outcome]:
    """Splits the data of the run folder run/ in the current folder; a folder others/ has files of somebody else."""
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    for name in ("data", "train", "log.txt"):
        (Path("others") / name).mkdir(parents=True)
        (Path("others") / name / "file").write_text("kept")
    return lambda: scaseg(capfd, *SPLIT)


@pytest.mark.parametrize("name", [".lock", "log.txt"])
@pytest.mark.parametrize("target", ["others/data/file", "others/new"])
def test_a_linked_lock_or_log_is_not_written(split: Callable[[], Outcome], name: str, target: str) -> None:
    before = contents(Path("others"))
    (Path("run") / name).symlink_to(Path(target).absolute())
    check_refusal(split(), (rf"run/{name} is a link, and scaseg writes only to files of its own\nDelete it",))
    assert contents(Path("others")) == before
    assert sorted(os.listdir("run")) == sorted({".lock", name})


@pytest.mark.parametrize("name", [".lock", "log.txt"])
def test_a_pipe_in_place_of_lock_or_log_is_refused_and_not_waited_for(split: Callable[[], Outcome], name: str) -> None:
    os.mkfifo(Path("run") / name)
    check_refusal(split(), (rf"run/{name} is not a regular file",))


@pytest.mark.parametrize(
    ("link", "target"), [("data", "others"), ("data/train", "others/train"), ("split", "others"), ("split", "nowhere")]
)
def test_a_linked_stage_folder_is_refused(split: Callable[[], Outcome], link: str, target: str) -> None:
    before = contents(Path("others"))
    place = Path("run") / link
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(Path(target).absolute())
    check_refusal(split(), (rf"run/{link} is a link to \S+{target}, and scaseg would delete", "Remove the link"))
    assert contents(Path("others")) == before
    assert not Path("nowhere").exists()


def test_a_run_knows_it_before_its_first_stage(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    run.path.mkdir()
    (run.path / "evaluation").symlink_to(tmp_path)
    with pytest.raises(ScasegError, match=r"evaluation is a link"):
        run_all(load_recipe("shapes-zps", SMALL), run)
    assert [path.name for path in run.path.iterdir()] == ["evaluation"]


@pytest.mark.parametrize("link", ["ablations", "ablations/stages", "ablations/stages/base-0"])
def test_linked_folders_of_ablations_are_refused(tmp_path: Path, link: str) -> None:
    place = tmp_path / "run" / link
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path)
    with pytest.raises(ScasegError, match=rf"run/{link} is a link"):
        Store(RunDir(tmp_path / "run")).prepare({}, {})


def test_a_run_folder_may_be_a_link(split: Callable[[], Outcome]) -> None:
    Path("run").rmdir()
    Path("disk").mkdir()
    Path("run").symlink_to("disk")
    outcome = split()
    assert outcome.code == 0, outcome.err
    assert {"data", "split", "log.txt", ".lock"} <= set(os.listdir("disk"))


def test_a_link_in_place_of_a_temporary_file_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("kept")
    (tmp_path / f".file.{os.getpid()}.tmp").symlink_to(outside)
    write_text(tmp_path / "file", "new")
    assert outside.read_text() == "kept"
    assert (tmp_path / "file").read_text() == "new"
    assert not (tmp_path / "file").is_symlink()
