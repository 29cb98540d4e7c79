"""The launcher's output is sorted by worker, and a failure is traced to its cause."""

from pathlib import Path

import pytest

from scaseg_cli.errors import ScasegError
from scaseg_cli.launch.listener import Listener, tell_error, tell_progress
from scaseg_cli.results import console

REPORT = """
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
scaseg_cli.launch.worker FAILED
Failures:
[1]:
  rank      : 0 (local_rank: 0)
  exitcode  : -15 (pid: 11)
  traceback : Signal 15 (SIGTERM) received by PID 11
Root Cause (first observed failure):
[0]:
  time      : 2026-01-01_00:00:00
  rank      : {rank} (local_rank: {local})
  exitcode  : {code} (pid: 12)
"""


def listener(*lines: str, report: tuple[int, int] | None = None, before: int = 0) -> Listener:
    """``before``: processes on earlier nodes."""
    heard = Listener("base", Path("run/base/workers.log"))
    for line in lines:
        heard.hear(line)
    if report is not None:
        for line in REPORT.format(rank=report[0], local=report[0] - before, code=report[1]).splitlines():
            heard.hear(line)
    return heard


def test_the_first_worker_alone_is_passed_on_and_not_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    listener("[default0]:base: 5/10 [x]", "[default1]:base: 5/10", "W1123 launcher's talk", "[default0]:")
    assert tuple(capsys.readouterr()) == ("", "base: 5/10 [x]\n")


def test_a_workers_mistake_becomes_this_processs(capsys: pytest.CaptureFixture[str]) -> None:
    tell_error(ScasegError("the file x\nis wrong", "Fix [it]."))
    said = [f"[default1]:{line}" for line in capsys.readouterr().err.splitlines()]
    error = listener(*said, "[default0]:late talk", report=(1, 2)).error(1)
    assert (error.message, error.hint) == ("the file x\nis wrong", "Fix [it].")
    assert capsys.readouterr().err == ""


def test_a_failure_is_told_by_the_last_line_of_the_root_causes_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    error = listener(
        "[default0]:[rank0]: Traceback (most recent call last):",
        '[default0]:[rank0]:   File "a.py", line 1, in <module>',
        "[default0]:[rank0]: RuntimeError: Connection closed by peer",
        "[default1]:[rank1]: Traceback (most recent call last):",
        '[default1]:[rank1]:   File "a.py", line 1, in <module>',
        "[default1]:[rank1]: ValueError: the cause",
        report=(1, 1),
    ).error(1)
    assert error.message == "base: process 1 failed: ValueError: the cause"
    assert "run/base/workers.log" in str(error.hint)
    assert capsys.readouterr().err == ""


def test_on_a_further_node_the_cause_is_that_of_its_own_process() -> None:
    said = ("[default0]:[rank8]: Traceback (most recent call last):", "[default0]:[rank8]: ValueError: the cause")
    error = listener(*said, report=(8, 1), before=8).error(1)
    assert error.message == "base: process 8 failed: ValueError: the cause"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (-9, "base: process 2 was killed; it may have run out of memory"),
        (-11, "base: process 2 was ended by SIGSEGV"),
        (7, "base: process 2 failed: exit code 7"),
    ],
)
def test_an_end_without_words(code: int, expected: str) -> None:
    assert listener(report=(2, code)).error(1).message == expected


def test_a_launcher_that_says_nothing() -> None:
    assert listener().error(3).message == "base: the processes ended with exit code 3"


def test_progress_of_all_workers_is_added_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_LINE_EVERY", 0.0)
    heard = listener()

    def tell(rank: int, completed: int) -> str:
        counted = {"total": 10, "completed": completed, "begun": 0, "seconds": 10.0}
        tell_progress(
            {"description": "queries", "note": f"of {rank}", "unit": "images", "units_per_step": 2, **counted}
        )
        (line,) = (line for line in capsys.readouterr().err.splitlines() if line)
        assert not heard.hear(f"[default{rank}]:{line}")  # not in the log of the output
        return capsys.readouterr().err.rpartition(", ")[0]

    assert tell(1, 4) == "queries: 4/10, of 1, 0.8 images/s"
    assert tell(0, 5) == "queries: 9/20, of 0, 1.8 images/s"
    assert tell(1, 6) == "queries: 11/20, of 0, 2.2 images/s"
