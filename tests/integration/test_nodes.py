"""Two nodes, here two commands on one machine, make what two processes or one make, and do not wait for ever."""

from __future__ import annotations

import json
import shutil
import socket
from typing import TYPE_CHECKING

import pytest
from tiny_runs import TinyRun, hashes, start

from scaseg_cli.recipe import recipe_of

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from damaged_world import World

_LIMIT = 240.0


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _node(rank: int, port: int) -> list[str]:
    return ["--nodes", "2", "--node-rank", str(rank), "--rendezvous", f"127.0.0.1:{port}", "--timeout", "120"]


def _end(*processes: subprocess.Popen[str]) -> list[str]:
    """What each wrote to stdout; all must end well."""
    told = [process.communicate(timeout=_LIMIT)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return told


@pytest.fixture
def before_base(tiny_run: TinyRun, tmp_path: Path) -> Path:
    """A folder with a run that has come to the base."""
    shutil.copytree(tiny_run.folder, tmp_path, dirs_exist_ok=True)
    for stage in ("embeddings", "base", "queries", "cat", "union", "evaluation"):
        shutil.rmtree(tmp_path / "runs" / "tiny" / stage)
    (tmp_path / "stderr.txt").unlink()
    return tmp_path


def test_two_nodes_train_what_two_processes_do_and_the_first_one_keeps_the_books(
    before_base: Path, undisturbed: bytes
) -> None:
    """Node 1 waits for what node 0 divides, while that one makes the embeddings, and leaves with it."""
    run, port = before_base / "runs" / "tiny", _free_port()
    short = ("-r", "tiny.yaml", "--json", "--set", "evaluation.setting=inductive")
    helper = start(before_base, "run", *short, *_node(1, port))
    first = start(before_base, "run", *short, *_node(0, port))
    told = [json.loads(text) for text in _end(first, helper)]
    assert [stage["stage"] for stage in told[0]["stages"]] == ["split", "embeddings", "base", "evaluation"]
    assert (told[1]["tables"], told[1]["wrote"], told[1]["summary"]["node"]) == ([], [], 1)
    assert [task["stage"] for task in told[1]["summary"]["stages"]] == ["base", "evaluation"]
    assert "base: node 1 takes part" in (run / "log-node1.txt").read_text()
    assert json.loads((run / "base" / "record.json").read_text())["nodes"] == 2
    assert recipe_of(run).nodes == 1  # of a later command on one machine
    assert (run / "base" / "workers.log").is_file()
    assert (run / "workers-node1.log").is_file()
    assert (run / "base" / "base.safetensors").read_bytes() == undisturbed


def test_two_nodes_write_the_files_that_one_process_writes(tiny_run: TinyRun, tmp_path: Path) -> None:
    """All that is divided after the base: the pass over the training images, stage 3's scoring, and the evaluation."""
    shutil.copytree(tiny_run.folder, tmp_path, dirs_exist_ok=True)
    run, divided = tmp_path / "runs" / "tiny", ["queries", "union", "evaluation"]
    for stage in ("cat", *divided):
        shutil.rmtree(run / stage)
    port, command = _free_port(), ("run", "-r", "tiny.yaml", "--json", "--seeds", "0")
    helper, first = (start(tmp_path, *command, *_node(rank, port)) for rank in (1, 0))
    told = [json.loads(text) for text in _end(first, helper)]
    ran = [stage["stage"] for stage in told[0]["seeds"][0]["stages"] if stage["ran"]]
    assert ran == ["queries", "cat", "union", "evaluation"]
    assert [task["stage"] for task in told[1]["summary"]["stages"]] == divided
    seed = run / "seeds" / "0"
    assert {task["folder"] for task in told[1]["summary"]["stages"]} == {str(seed.relative_to(tmp_path))}
    assert hashes(seed) == hashes(tiny_run.run)
    assert not list(seed.rglob("scoring-*")) + list(seed.rglob("shard-*"))


def test_nodes_that_were_started_differently_are_told(world: World) -> None:
    command, port = ("train-base", "-r", "tiny.yaml", "-w", "run"), _free_port()
    first = start(world.folder, *command, *_node(0, port))
    other = start(world.folder, *command, *_node(1, port), "--set", "base.tau=0.1")
    for process in (first, other):
        process.communicate(timeout=_LIMIT)
    assert (first.returncode, other.returncode) == (2, 2)
    said = (world.folder / "stderr.txt").read_text()
    assert "error: the nodes have different recipes" in said
    assert "error: node 0: the nodes have different recipes" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("rank", "said"),
    [(0, r"1 of 2 nodes connected to 127\.0\.0\.1:\d+ within 2 s"), (1, r"no node answered at .* within 2 s")],
)
def test_a_rendezvous_that_nobody_answers_ends_in_time(world: World, rank: int, said: str) -> None:
    world.refuses("train-base", *_node(rank, _free_port())[:-1], "2", saying=(said, "--timeout"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--nodes", "2"], "nodes is 2, and --node-rank is missing"),
        (["--nodes", "2", "--node-rank", "0"], "--rendezvous is missing"),
        (["--nodes", "2", "--node-rank", "2", "--rendezvous", "a:1"], "--node-rank 2 does not exist among 2 nodes"),
        (["--nodes", "2", "--node-rank", "1", "--rendezvous", "here"], "'here' is not HOST:PORT"),
        (["--node-rank", "1"], "nodes is 1"),
        (["--nodes", "0"], "nodes: should be greater than 0"),
        (
            [*_node(0, _free_port()), "--set", "base.batch_size=3"],
            "base.batch_size 3 is not divisible by 2: 2 processes",
        ),
        (["--set", "base.accumulate=4"], "base.batch_size 2 is not divisible by 4: 1 process, base.accumulate 4"),
    ],
)
def test_nodes_that_make_no_sense(world: World, options: list[str], said: str) -> None:
    world.refuses("train-base", *options, saying=(said,))
