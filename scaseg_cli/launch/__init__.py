"""Running work in several processes, on one or several machines, or as a cluster job."""

from scaseg_cli.launch.listener import tell_error, tell_progress
from scaseg_cli.launch.nodes import Node, as_node, choose_node, this_node
from scaseg_cli.launch.processes import end_with_parent, in_worker, launch_workers

__all__ = [
    "Node",
    "as_node",
    "choose_node",
    "end_with_parent",
    "in_worker",
    "launch_workers",
    "tell_error",
    "tell_progress",
    "this_node",
]
