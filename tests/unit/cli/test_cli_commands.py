"""Every command: its help, and errors before anything is written."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

STAGE_COMMANDS = ("split-dataset", "embed-classes", "train-base", "train-cat", "union-finetune", "evaluate")
COMMANDS = (
    *((command,) for command in (*STAGE_COMMANDS, "run", "status", "doctor", "ablate")),
    ("recipe", "list"), ("recipe", "show"), ("recipe", "check"),
    ("shapes", "make"), ("shapes", "train-clip"), ("shapes", "train-backbone"),
)  # fmt: skip
TINY = tuple(
    word
    for change in ("num_train=6", "num_selection=40", "num_validation=40", "unseen_fraction=0.0")
    for word in ("--set", f"data.shapes.{change}")
)
Call = Callable[..., Any]


def entries(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_teaches(scaseg: Call, command: tuple[str, ...]) -> None:
    code, out, err = scaseg(*command, "--help")
    assert (code, err) == (0, "")
    text = " ".join(out.split())
    assert f"Usage: scaseg {' '.join(command)}" in text
    assert f"Example: scaseg {' '.join(command)}" in text
    assert "Reads" in text
    assert "Writes" in text


@pytest.mark.parametrize("command", [*STAGE_COMMANDS, "run", "status", "doctor", "ablate"])
def test_every_stage_command_has_the_shared_options_in_their_panels(scaseg: Call, command: str) -> None:
    out = scaseg(command, "--help").out
    for option in (
        "--recipe",
        "-r",
        "--work-dir",
        "-w",
        "--set",
        "--seed",
        "--gpus",
        "--processes",
        "--json",
        "--debug",
    ):
        assert f" {option} " in out
    for panel in ("Recipe", "Machine", "Output"):
        assert f"─ {panel} ─" in out


def test_help_lists_every_command(scaseg: Call) -> None:
    out = scaseg("--help").out
    for command in {first for first, *_ in COMMANDS}:
        assert f" {command} " in out


@pytest.mark.parametrize("command", STAGE_COMMANDS[1:])
def test_a_stage_without_what_it_needs_names_the_command_and_writes_nothing(
    scaseg: Call, command: str, tmp_path: Path
) -> None:
    code, out, err = scaseg(command)
    assert (code, out) == (2, "")
    assert err.startswith("error: runs/shapes-zps has no finished ")
    assert "Run `scaseg " in err
    assert entries(tmp_path) == []


@pytest.mark.parametrize("command", [*STAGE_COMMANDS, "run"])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-r", "shapes-zpz"), "error: there is no recipe 'shapes-zpz'"),
        (("--set", "base.iterashuns=3"), "  base.iterashuns: unknown key, did you mean 'iterations'?"),
        (("--set", "base"), "error: --set 'base' is not of the form key=value"),
        (("--seed", "-3"), "  seed: should be greater than or equal to 0 (it is -3)"),
        (("--processes", "0"), "  processes: should be greater than 0 (it is 0)"),
        (("--gpus", "two"), "Invalid value for '--gpus'"),
        (("--gpu", "2"), "No such option: --gpu"),
    ],
)
def test_what_is_wrong_with_the_options(
    scaseg: Call, command: str, arguments: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    code, out, err = scaseg(command, *arguments)
    assert (code, out) == (2, "")
    assert expected in err
    assert "Traceback" not in err
    assert entries(tmp_path) == []


def test_an_unknown_command_is_told_with_the_nearest(scaseg: Call) -> None:
    code, out, err = scaseg("train-bass")
    assert (code, out) == (2, "")
    assert "train-base" in err


@pytest.mark.parametrize("command", ["run", "status", "evaluate", "visualize"])
def test_a_run_folder_as_argument_is_told_its_option(scaseg: Call, command: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "recipe.yaml").write_text("extends: shapes-zps\n")
    code, out, err = scaseg(command, "mine")
    assert (code, out) == (2, "")
    assert err.endswith("Name the run folder with an option: --work-dir mine\n")
    assert "--work-dir" not in scaseg(command, "other").err


def test_ablate_takes_one_option_for_seeds(scaseg: Call) -> None:
    assert (
        "error: --seed and --seeds both set the seed"
        in scaseg("ablate", "increment", "--seed", "1", "--seeds", "0,1").err
    )


def test_a_report_on_no_run_names_a_command_that_makes_one(scaseg: Call) -> None:
    assert "Run `scaseg run -w runs/none` first." in scaseg("report", "-w", "runs/none").err


def test_an_option_of_its_own_name_wins_over_set(scaseg: Call) -> None:
    code, _, err = scaseg("run", "--set", "seed=4", "--seed", "-1")
    assert code == 2
    assert "(it is -1)" in err


def test_more_gpus_than_there_are(scaseg: Call, tmp_path: Path) -> None:
    code, out, err = scaseg("run", "--gpus", "999")
    assert (code, out) == (2, "")
    assert "CUDA devices, 999 were requested" in err
    assert "Use --gpus 0 to run on the CPU." in err
    assert entries(tmp_path) == []


def test_a_work_folder_that_cannot_be_made(scaseg: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for command in ("run", "status", "predict x.png", "visualize", "report", "ablate increment"):
        for folder in ("file", "file/below"):
            code, out, err = scaseg(*command.split(), "-w", folder)
            assert (code, out) == (2, "")
            assert err.splitlines()[0].startswith(f"error: the run folder {folder} cannot be used: ")
            assert "--work-dir" in err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_work_folder_without_permission(scaseg: Call, tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0o500)
    code, _, err = scaseg("run", "-w", "shut/run")
    assert code == 2
    assert "error: the run folder shut/run cannot be written: Permission denied" in err


def test_two_commands_never_work_in_one_folder(scaseg: Call, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with open(tmp_path / "taken" / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4321\n")
        lock.flush()
        code, out, err = scaseg("run", "-w", "taken")
    assert (code, out) == (2, "")
    assert err.startswith("error: another scaseg command (process 4321) is running in taken")
    assert scaseg("split-dataset", "-w", "taken", *TINY).code == 0


def test_a_stage_shows_its_table_what_it_wrote_and_what_comes_next(scaseg: Call, tmp_path: Path) -> None:
    code, out, err = scaseg("split-dataset", "-w", "my run", *TINY, "--seed", "3")
    assert code == 0
    assert "40" in out
    assert "wrote" not in out
    lines = err.splitlines()
    assert "wrote my run/split/classes.json" in lines
    assert lines[-1] == "next: scaseg embed-classes --work-dir 'my run' " + " ".join(TINY) + " --seed 3"
    assert (tmp_path / "my run" / "recipe.yaml").is_file()
    assert "$ scaseg " in (tmp_path / "my run" / "log.txt").read_text()


def test_json_is_one_document_and_has_the_next_command_too(scaseg: Call) -> None:
    code, out, err = scaseg("split-dataset", *TINY, "--json")
    value = json.loads(out)
    assert code == 0
    assert value["stage"] == "split"
    assert value["next_command"] == "scaseg embed-classes " + " ".join(TINY)
    assert value["wrote"]
    assert "next: " in err


def test_status_knows_done_stale_and_missing(scaseg: Call) -> None:
    def states(*arguments: str) -> dict[str, str]:
        rows = json.loads(scaseg("status", "--json", *arguments).out)["rows"]
        return {row["stage"]: row["state"] for row in rows}

    assert set(states().values()) == {"missing"}
    scaseg("split-dataset", *TINY)
    assert states(*TINY)["split"] == "done"
    assert states(*TINY)["base"] == "missing"
    assert states(*TINY, "--set", "split.unseen=[red ring]")["split"] == "stale"
    assert scaseg("status").out.startswith("shapes-zps in runs/shapes-zps")


def test_status_of_a_folder_that_does_not_exist_says_so(scaseg: Call, tmp_path: Path) -> None:
    outcome = scaseg("status", "-w", str(tmp_path / "rums"))
    assert outcome.code == 0
    assert "rums does not exist: nothing has run there" in outcome.err
    assert "missing" in outcome.out


def test_the_version(scaseg: Call) -> None:
    from scaseg_cli import __version__

    assert scaseg("--version") == (0, f"scaseg {__version__}\n", "")


def test_a_broken_pipe_is_quiet() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "scaseg_cli", "recipe", "show"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141


def test_a_closed_stdout_is_no_bug() -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m scaseg_cli recipe list >&-"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_is_the_persons_to_mend() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "scaseg_cli", "recipe", "show"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: No space left on device")
