"""Training of the base in two processes: it ends well, ends all of them, goes on, and tells what is wrong."""

import os
import signal
import time
from pathlib import Path

import pytest
from tiny_runs import TRAIN_IN_TWO as TRAIN
from tiny_runs import TinyRun, copy_before_base, scaseg, signal_when, start, start_python


@pytest.fixture
def before_base(tiny_run: TinyRun, tmp_path: Path) -> Path:
    """A folder with a run in which the base is not trained yet."""
    copy_before_base(tiny_run, tmp_path)
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


def workers_of(folder: Path) -> list[int]:
    """The workers among `processes_of`: what the launcher forked."""
    lines = {number: Path(f"/proc/{number}/cmdline").read_bytes().decode() for number in processes_of(folder)}
    launched = {number for number, line in lines.items() if "scaseg_cli.launch.launcher" in line}
    parents = {
        number: int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1]) for number in launched
    }
    return sorted(number for number, parent in parents.items() if parent in launched)


def _goes_on_to(base: Path, undisturbed: bytes, folder: Path) -> None:
    """The same command again ends with the bytes of a training that nothing happened to."""
    assert not (base / "record.json").exists()
    scaseg(folder, *TRAIN)
    assert "base: resuming from iteration " in (folder / "stderr.txt").read_text()
    assert (base / "base.safetensors").read_bytes() == undisturbed


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="looks for processes in /proc")
def test_a_terminated_training_leaves_no_process_and_goes_on_to_the_same_end(
    before_base: Path, undisturbed: bytes
) -> None:
    base = before_base / "runs" / "tiny" / "base"
    assert signal_when(base / "progress.pt", signal.SIGTERM, before_base, *TRAIN) == 128 + signal.SIGTERM
    latest = time.monotonic() + 20
    while processes_of(before_base) and time.monotonic() < latest:
        time.sleep(0.1)
    assert processes_of(before_base) == []
    _goes_on_to(base, undisturbed, before_base)


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="looks for processes in /proc")
def test_a_worker_that_dies_ends_the_training_with_words_and_it_goes_on(before_base: Path, undisturbed: bytes) -> None:
    base = before_base / "runs" / "tiny" / "base"
    process = start_python(before_base, *TRAIN)  # what it starts can be told by its command line
    latest = time.monotonic() + 120
    while not (base / "progress.pt").exists() and time.monotonic() < latest:
        time.sleep(0.01)
    assert len(workers_of(before_base)) == 2
    os.kill(workers_of(before_base)[1], signal.SIGKILL)
    process.communicate(timeout=120)
    said = (before_base / "stderr.txt").read_text()
    assert process.returncode == 2, said
    assert "was killed; it may have run out of memory" in said
    assert "resumes from the last checkpoint" in said
    assert "Traceback" not in said
    assert processes_of(before_base) == []
    _goes_on_to(base, undisturbed, before_base)


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
