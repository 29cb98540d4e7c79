"""Runs a plan's jobs: each when what it needs is there, several at once where the launcher takes them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scaseg_cli.ablations.jobs import Failure
from scaseg_cli.ablations.launcher import Launcher, Running
from scaseg_cli.ablations.plan import Job, Plan
from scaseg_cli.ablations.store import Store
from scaseg_cli.results.console import in_words, say_plainly

_POLL = 0.2  # seconds between two looks at the jobs


@dataclass
class Schedule:
    """The jobs of a plan while they run.

    Attributes:
        plan: what is to be done.
        launcher: where.
        failed: by node, why; what builds on it has its reason.
        ended: nodes that were run or failed.
    """

    plan: Plan
    launcher: Launcher
    failed: dict[str, Failure] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def run(self) -> dict[str, Failure]:
        """Carry out all jobs; those that build on one that failed are left out.

        Returns:
            Why stages have no result, by node.
        """
        waiting, running = self.plan.jobs(), dict[int, tuple[Job, Running, float]]()
        total, begun = len(waiting), 0
        logs = logs_folder(self.plan.store)
        logs.mkdir(parents=True, exist_ok=True)
        try:
            while waiting or running:
                for job in [job for job in waiting if self._is_ready(job)]:
                    if len(running) == self.launcher.num_slots:
                        break
                    waiting.remove(job)
                    begun += 1
                    nodes = self._runnable(job)
                    if nodes:
                        slot = min(set(range(self.launcher.num_slots)) - set(running))
                        running[slot] = self._start(job, nodes, slot, f"{begun} of {total}")
                    self.ended |= set(job.nodes) - set(nodes)
                if not self._collect(running):
                    time.sleep(_POLL)
        finally:
            for _, handle, _ in running.values():
                handle.end()
        return self.failed

    def _is_ready(self, job: Job) -> bool:
        return set(job.needs) <= self.ended

    def _runnable(self, job: Job) -> list[str]:
        """The job's nodes that have all they need; the others fail for the reason of what they lack."""
        for node_id in job.nodes:
            lacking = [need for need in self.plan.nodes[node_id].earlier if need in self.failed]
            if lacking:
                self.failed[node_id] = self.failed[lacking[0]]
        return [node_id for node_id in job.nodes if node_id not in self.failed]

    def _start(self, job: Job, nodes: Sequence[str], slot: int, count: str) -> tuple[Job, Running, float]:
        say_plainly(f"{count}, {job.stage}: {self._titles(nodes)}")
        found = [self.plan.nodes[node_id] for node_id in nodes]
        cells = [(node.recipe, self.plan.store.run(node)) for node in found]
        started = time.monotonic()
        path = logs_folder(self.plan.store) / f"{job.name}.json"
        return job, self.launcher.start(path, job.stage, cells, slot), started

    def _titles(self, nodes: Sequence[str]) -> str:
        cells = [cell for node_id in nodes for cell in self.plan.cells_of(node_id)]
        more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        return f"{cells[0].title}{more}"

    def _collect(self, running: dict[int, tuple[Job, Running, float]]) -> bool:
        """Take in what has ended; whether anything has, or nothing runs."""
        ended = {slot: found for slot, (_, handle, _) in running.items() if (found := handle.poll()) is not None}
        for slot, failures in ended.items():
            job, _, started = running.pop(slot)
            seconds = time.monotonic() - started
            failed = {node for node in job.nodes if self.plan.store.run(self.plan.nodes[node]).path in failures}
            for node_id in failed:
                self.failed[node_id] = failures[self.plan.store.run(self.plan.nodes[node_id]).path]
            self.ended |= set(job.nodes)
            good = len(job.nodes) - len([node for node in job.nodes if node in self.failed])
            say_plainly(
                f"{job.stage}: {good} done in {in_words(seconds)}" + (f", {len(failed)} failed" if failed else "")
            )
        return bool(ended) or not running


def logs_folder(store: Store) -> Path:
    """Where every job keeps its log."""
    return store.folder / "logs"
