"""Training of the base in two processes: it ends well, ends all of them, goes on, and tells what is wrong."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from tiny_runs import TinyRun, scaseg, signal_when, start

TRAIN = ("train-base", "-r", "tiny.yaml", "--processes", "2")


@pytest.fixture
def before_base(tiny_run: TinyRun, tmp_path: Path) -> Path:
    """A folder with a run in which the base is not trained yet."""
    shutil.copytree(tiny_run.folder, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "runs" / "tiny" / "base")
    (tmp_path / "stderr.txt").unlink()
    return tmp_path


def processes_of(folder: Path) -> list[int]:
    """Processes whose command line names a run folder and that work in ``folder``."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and Path(os.readlink(entry / "cwd")) == folder and (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue  # it has ended in the meantime, or is not ours
    return found


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="looks for processes in /proc")
def test_a_terminated_training_leaves_no_process_and_goes_on_to_the_same_end(before_base: Path, tmp_path: Path) -> None:
    base = before_base / "runs" / "tiny" / "base"
    assert signal_when(base / "progress.pt", signal.SIGTERM, before_base, *TRAIN) == 128 + signal.SIGTERM
    latest = time.monotonic() + 20
    while processes_of(before_base) and time.monotonic() < latest:
        time.sleep(0.1)
    assert processes_of(before_base) == []
    assert not (base / "record.json").exists()
    scaseg(before_base, *TRAIN)
    assert "base: going on from iteration " in (tmp_path / "stderr.txt").read_text()
    resumed = (base / "base.safetensors").read_bytes()
    shutil.rmtree(base)
    scaseg(before_base, *TRAIN)
    assert (base / "base.safetensors").read_bytes() == resumed


def test_what_a_worker_meets_is_told_once_and_without_a_traceback(before_base: Path) -> None:
    images = sorted((before_base / "runs" / "tiny" / "data" / "train").iterdir())
    for image in images:
        image.write_bytes(b"no image")
    process = start(before_base, *TRAIN)
    out, _ = process.communicate(timeout=240)
    said = (before_base / "stderr.txt").read_text()
    assert (process.returncode, out) == (2, "")
    assert said.count("error: ") == 1
    assert "Traceback" not in said
    assert str(Path("data") / "train") in said
