"""Error messages, exit codes, signals, and a stdout reserved for results."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from scaseg_cli.cli import failures
from scaseg_cli.cli.options import Options
from scaseg_cli.cli.running import next_command
from scaseg_cli.cli.signals import Terminated, raised_signals
from scaseg_cli.errors import ScasegError, explained
from scaseg_cli.results.stage_report import StageReport


def test_a_mistake_is_two_lines_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    code = failures.report_error(ScasegError("the file [a].yaml is wrong", "Fix it."), debug=False)
    assert code == 2
    assert tuple(capsys.readouterr()) == ("", "error: the file [a].yaml is wrong\nFix it.\n")


def test_a_bug_is_one_line_that_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert failures.report_error(KeyError("x\ny"), debug=False) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", "error: this is a bug of scaseg: KeyError: 'x\\ny'; --debug shows the traceback\n")


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError("inside")
    assert failures.report_error(caught.value, debug=True) == 1
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert "test_debug_shows_the_traceback" in err


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), "/a/b: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "/c"), "/c: Permission denied"),
        (MemoryError(), "out of memory: none is left"),
        (ImportError("libGL.so.1: cannot open shared object file"), "a system library is missing: libGL.so.1"),
    ],
)
def test_what_the_system_refuses_is_no_bug(error: Exception, expected: str) -> None:
    told = explained(error)
    assert told is not None
    assert told.message.startswith(expected)
    assert told.hint


def test_a_full_gpu_is_no_bug_and_the_hint_names_what_saves_memory() -> None:
    told = explained(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nMore of it."))
    assert told is not None
    assert told.message == "out of memory: CUDA out of memory. Tried to allocate 20.00 MiB."
    for key in ("base.crop", "base.batch_size", "base.accumulate", "base.amp", "queries.batch_size"):
        assert key in str(told.hint)


@pytest.mark.parametrize("error", [OSError(errno.EINVAL, "Invalid argument"), ImportError("no module x"), ValueError()])
def test_what_is_a_bug_stays_one(error: Exception) -> None:
    assert explained(error) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_are_raised_and_then_as_before(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # a test run under nohup ignores SIGHUP
    try:
        with pytest.raises(Terminated, match=number.name), raised_signals():
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with raised_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_exit_code_tells_the_signal(number: signal.Signals, code: int, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "scaseg_cli",
        "split-dataset",
        "-w",
        "run",
        "--set",
        "data.shapes.num_train=999999",
    ]
    before = signal.signal(number, signal.SIG_DFL)  # a shell's background job, such as a test run, ignores SIGINT
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    signal.signal(number, before)
    assert process.stderr is not None
    try:
        while not (tmp_path / "run" / "log.txt").is_file():  # from then on it runs for minutes
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(number)
        assert process.stderr.read().splitlines()[-1] == "Run the same command to resume."
        assert process.wait() == code
    finally:
        process.kill()


def test_whatever_writes_to_stdout_lands_on_stderr() -> None:
    program = """
import os, subprocess, sys
from scaseg_cli.cli.output import print_json, stdout_as_stderr
early = sys.stdout
with stdout_as_stderr():
    print("print")
    early.write("kept stream\\n"); early.flush()
    os.write(1, b"compiled code\\n")
    subprocess.run(["echo", "child"])
print_json({"a": 1.5})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == '{\n "a": 1.5\n}\n'
    assert sorted(done.stderr.splitlines()) == ["child", "compiled code", "kept stream", "print"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(), "scaseg evaluate"),
        (
            Options(recipe="a b.yaml", changes=("split.unseen=[x, y]",), gpus=0),
            "scaseg evaluate --recipe 'a b.yaml' --set 'split.unseen=[x, y]' --gpus 0",
        ),
    ],
)
@pytest.mark.parametrize("said", ["evaluate", "scaseg evaluate"])
def test_the_next_command_is_for_the_same_run(options: Options, expected: str, said: str) -> None:
    assert next_command(StageReport("union", next_command=said), options) == expected


def test_after_the_last_stage_there_is_no_next_command() -> None:
    assert next_command(StageReport("evaluation"), Options(seed=3)) is None
