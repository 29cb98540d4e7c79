"""Nodes, here in one process, hear each other's tasks, errors and ends."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from scaseg_cli.errors import ScasegError
from scaseg_cli.launch.first_node import FirstNode
from scaseg_cli.launch.listener import WorkersFailed
from scaseg_cli.launch.messages import Task
from scaseg_cli.launch.nodes import Node
from scaseg_cli.launch.other_node import OtherNode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SAYS = {"recipes": "of both"}
TASK = Task(recipe="", folder=".", processes=1, target="a:b", stage="queries", modules=[], address="")


def node(rank: int, port: int, timeout: int = 5, count: int = 2) -> Node:
    return Node(rank, f"127.0.0.1:{port}", timeout, count)


@contextmanager
def closing_quietly(other: OtherNode) -> Iterator[OtherNode]:
    """A node that ends without a word if it has not ended yet."""
    try:
        yield other
    finally:
        other.close(None)


def wait_for(is_so: Callable[[], bool]) -> None:
    latest = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < latest
        time.sleep(0.01)


@pytest.fixture
def port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture
def first(port: int, tmp_path: Path) -> Iterator[FirstNode]:
    """Node 0; a test that succeeds leaves no other node connected."""
    made = FirstNode(node(0, port), tmp_path, SAYS)
    yield made
    made.close(ScasegError("the test is over"))


def test_both_do_their_part_and_end_together(port: int, tmp_path: Path) -> None:
    first, did = FirstNode(node(0, port), tmp_path, SAYS), []

    def help_out() -> None:
        other = OtherNode(node(1, port), SAYS)
        while (task := other.next_task()) is not None:
            did.append(task)
            other.report_done()
        other.close(None)

    helper = Thread(target=help_out)
    helper.start()
    for stage in ("queries", "union"):
        first.call({**TASK, "stage": stage})
        first.wait_for_parts()
    first.close(None)
    helper.join(5)
    assert not helper.is_alive()
    assert [task["stage"] for task in did] == ["queries", "union"]
    assert did[0] == TASK


def test_an_error_of_either_side_is_the_others_too(first: FirstNode, port: int) -> None:
    other = OtherNode(node(1, port), SAYS)
    first.call(TASK)
    other.close(ScasegError("the image x is broken", "Repair it."))
    with pytest.raises(ScasegError, match="node 1: the image x is broken") as raised:
        first.wait_for_parts()
    assert raised.value.hint == "Repair it."
    last = OtherNode(node(1, port), SAYS)  # comes to an end that is told to it
    end = Thread(target=first.close, args=(ScasegError("the disk is full", None),))
    end.start()
    with pytest.raises(ScasegError, match="node 0: the disk is full"):
        last.next_task()
    last.close(None)
    end.join(5)


def test_a_node_that_comes_while_the_command_ends_hears_why(port: int, tmp_path: Path) -> None:
    first = FirstNode(node(0, port), tmp_path, SAYS)
    first._ends = True  # it accepts nobody any more
    first._thread.join()
    late = OtherNode(node(1, port), SAYS)
    first.close(ScasegError("the disk is full", "Free some space."))
    with pytest.raises(ScasegError, match="node 0: the disk is full"):
        late.next_task()
    late.close(None)


def test_what_may_be_a_consequence_is_told_from_a_cause(first: FirstNode, port: int) -> None:
    with closing_quietly(OtherNode(node(1, port), SAYS)) as other:
        first.gather()
        other.close(WorkersFailed("base: process 1 failed: Connection closed by peer", "", is_cause=False))
    wait_for(lambda: first.trouble() is not None)
    assert first.trouble(only_causes=True) is None


def test_a_node_that_is_killed_is_missed_at_once(first: FirstNode, port: int) -> None:
    other = OtherNode(node(1, port), SAYS)
    first.call(TASK)
    other.close(None)  # the system closes the connections of what is killed
    with pytest.raises(ScasegError, match="node 1 has ended"):
        first.wait_for_parts()


def test_the_other_node_notices_that_node_0_is_gone(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listening:
        other = OtherNode(node(1, port), SAYS)
        listening.accept()[0].close()
    with pytest.raises(ScasegError, match="node 0 has ended"):
        other.next_task()
    assert other.trouble(only_causes=True) is None
    other.close(None)


def test_nodes_that_were_started_differently(first: FirstNode, port: int) -> None:
    with (
        closing_quietly(OtherNode(node(1, port), {"recipes": "of its own"})),
        pytest.raises(ScasegError, match="the nodes have different recipes"),
    ):
        first.call(TASK)


def test_a_rank_that_is_taken(first: FirstNode, port: int) -> None:
    with closing_quietly(OtherNode(node(1, port), SAYS)):
        first.gather()
        second = OtherNode(node(1, port), SAYS)
        with pytest.raises(ScasegError, match="another node has --node-rank 1 too"):
            second.next_task()
        second.close(None)
        assert first.trouble() is None


@pytest.mark.parametrize("sent", [b"", b"\0\0\0\2{}", b"\0\0\0\4GET ", b"\x7f\0\0\0"])
def test_a_stranger_is_no_node(first: FirstNode, port: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as stranger:
        stranger.sendall(sent)
    with closing_quietly(OtherNode(node(1, port), SAYS)):
        first.gather()


def test_an_address_that_nobody_answers_and_a_port_in_use(first: FirstNode, port: int, tmp_path: Path) -> None:
    with pytest.raises(ScasegError, match=rf"port {port} is in use"):
        FirstNode(node(0, port), tmp_path, SAYS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        silent = free.getsockname()[1]
        with pytest.raises(ScasegError, match=rf"no node answered at 127\.0\.0\.1:{silent} within 0 s"):
            OtherNode(node(1, silent, timeout=0), SAYS)
    first.node = node(0, port, timeout=0, count=3)
    with pytest.raises(ScasegError, match=rf"1 of 3 nodes connected to 127\.0\.0\.1:{port} within 0 s"):
        first.gather()


def test_a_command_without_work_for_the_others_ends_well(
    port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FirstNode(node(0, port, timeout=0), tmp_path, SAYS).close(None)
    assert "there was no work for the others" in capsys.readouterr().err
