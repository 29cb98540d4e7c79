"""Running work in several processes, on one or several machines, or as a cluster job."""

from scaseg_cli.launch.listener import tell_error, tell_progress
from scaseg_cli.launch.meeting import meeting
from scaseg_cli.launch.nodes import Node, as_node, choose_node, this_node
from scaseg_cli.launch.other_node import OtherNode
from scaseg_cli.launch.processes import (
    end_with_parent,
    help_first_node,
    in_worker,
    launch_workers,
    num_nodes,
    own_part,
)

__all__ = [
    "Node",
    "OtherNode",
    "as_node",
    "choose_node",
    "end_with_parent",
    "help_first_node",
    "in_worker",
    "launch_workers",
    "meeting",
    "num_nodes",
    "own_part",
    "tell_error",
    "tell_progress",
    "this_node",
]
