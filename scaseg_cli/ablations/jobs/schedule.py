"""The schedule of a plan's jobs: each starts once its earlier stages are finished, and as soon as a slot is free."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaseg_cli.results.console import in_words, say_plainly

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaseg_cli.ablations.jobs.launcher import JobLauncher, RunningJob
    from scaseg_cli.ablations.jobs.stage_job import Failure
    from scaseg_cli.ablations.plan import Plan, StageJob
    from scaseg_cli.ablations.store import Store
    from scaseg_cli.run_dir import RunDir

_POLL = 0.2  # seconds between two polls of the jobs


@dataclass(frozen=True)
class _Begun:
    """A running job with its start time."""

    job: StageJob
    nodes: list[str]
    running: RunningJob
    since: float


class Schedule:
    """The jobs of a plan while they run.

    Args:
        plan: the plan to run.
        launcher: starts the jobs.

    Attributes:
        failed: failures by node id; a node that needs a failed one has the same failure.
        skipped: nodes that turned out to be up to date, or to be shared, once the split had run.
    """

    def __init__(self, plan: Plan, launcher: JobLauncher) -> None:
        self.plan, self.launcher = plan, launcher
        self.failed: dict[str, Failure] = {}
        self.skipped: set[str] = set()
        self._waiting = plan.jobs()
        self._total = len(self._waiting)
        self._begun: dict[int, _Begun] = {}  # by slot
        self._ended: set[str] = set()  # nodes that ran or will never run

    def run(self) -> dict[str, Failure]:
        """Run all jobs except those that need a failed one, and return `failed`."""
        logs_folder(self.plan.store).mkdir(parents=True, exist_ok=True)
        try:
            while self._waiting or self._begun:
                self._begin()
                if not self._collect() and self._begun:
                    time.sleep(_POLL)
        finally:
            for begun in self._begun.values():
                begun.running.end()
        return self.failed

    def _begin(self) -> None:
        """Start jobs whose needs are met until no slot is free."""
        for job in [job for job in self._waiting if set(job.needs) <= self._ended]:
            free = set(range(self.launcher.num_slots)) - set(self._begun)
            if not free:
                return
            self._waiting.remove(job)
            nodes = self._runnable(job)
            if job.stage not in ("data", "split") and self._has_split:
                nodes = [node_id for node_id in nodes if not self._is_made(node_id)]
            if nodes:
                self._begun[min(free)] = self._start(job, nodes, min(free))
            self._ended |= set(job.nodes) - set(nodes)

    def _runnable(self, job: StageJob) -> list[str]:
        """The job's nodes whose needs are met; the others get the failure of the node that they lack."""
        for node_id in job.nodes:
            lacking = [need for need in self.plan.nodes[node_id].earlier if need in self.failed]
            if lacking:
                self.failed[node_id] = self.failed[lacking[0]]
        return [node_id for node_id in job.nodes if node_id not in self.failed]

    @property
    def _has_split(self) -> bool:
        """Whether a split has run, before which the plan could not know what its lists leave to do."""
        return any(self.plan.nodes[node_id].stage == "split" for node_id in self._ended)

    def _is_made(self, node_id: str) -> bool:
        node, store = self.plan.nodes[node_id], self.plan.store
        state = store.state(node)
        if state == "shared":
            store.share(node)
        if state != "missing":
            self.skipped.add(node_id)
        return state != "missing"

    def _start(self, job: StageJob, nodes: list[str], slot: int) -> _Begun:
        say_plainly(f"{self._total - len(self._waiting)} of {self._total}, {job.stage}: {self._titles(nodes)}")
        for node_id in nodes:
            self.plan.store.begin(self.plan.nodes[node_id])
        cells = [(self.plan.nodes[node_id].recipe, self._run(node_id)) for node_id in nodes]
        path, since = logs_folder(self.plan.store) / f"{job.name}.json", time.monotonic()
        return _Begun(job, nodes, self.launcher.start(path, job.stage, cells, slot), since)

    def _run(self, node_id: str) -> RunDir:
        return self.plan.store.run(self.plan.nodes[node_id])

    def _titles(self, nodes: Sequence[str]) -> str:
        cells = [cell for node_id in nodes for cell in self.plan.cells_of(node_id)]
        more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        return f"{cells[0].title}{more}"

    def _collect(self) -> bool:
        """Collect the failures of ended jobs; returns whether any job has ended."""
        ended = {slot: found for slot, begun in self._begun.items() if (found := begun.running.poll()) is not None}
        for slot, failures in ended.items():
            begun = self._begun.pop(slot)
            failed = {node: failures[self._run(node).path] for node in begun.nodes if self._run(node).path in failures}
            self.failed |= failed
            self._ended |= set(begun.nodes)
            done = f"{len(begun.nodes) - len(failed)} done in {in_words(time.monotonic() - begun.since)}"
            say_plainly(f"{begun.job.stage}: {done}" + (f", {len(failed)} failed" if failed else ""))
        return bool(ended)


def logs_folder(store: Store) -> Path:
    """Return the folder of the jobs' logs."""
    return store.folder / "logs"
