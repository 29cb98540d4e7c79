"""The order of jobs, several jobs at once, and the fate of jobs that need a failed one."""

from dataclasses import dataclass, field

import pytest

from scaseg_cli.ablations.ablate import make_ablations
from scaseg_cli.ablations.jobs.schedule import Schedule
from scaseg_cli.ablations.jobs.stage_job import Failure
from scaseg_cli.ablations.plan import make_plan
from scaseg_cli.ablations.store import Store
from scaseg_cli.run_dir import RunDir


@dataclass
class Later:
    """A job that has ended at the second poll."""

    failures: dict
    polls: int = 0
    ended: bool = False

    def poll(self):
        self.polls += 1
        return self.failures if self.polls > 1 else None

    def end(self):
        self.ended = True


@dataclass
class Fake:
    """A launcher that starts nothing; jobs whose stage or folder is in ``failing`` fail."""

    num_slots: int = 1
    failing: tuple[str, ...] = ()
    started: list = field(default_factory=list)
    running: dict = field(default_factory=dict)
    most: int = 0

    def start(self, path, stage, cells, slot):
        assert slot not in {s for s, job in self.running.items() if job.polls < 2}
        reasons = {run.path: Failure("made to", path) for _, run in cells if self._fails(stage, run)}
        self.started.append((stage, len(cells)))
        self.running[slot] = Later(reasons)
        self.most = max(self.most, sum(job.polls < 2 for job in self.running.values()))
        return self.running[slot]

    def _fails(self, stage, run):
        return stage in self.failing or run.path.name in self.failing


@pytest.fixture
def plan(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("scaseg_cli.ablations.jobs.schedule._POLL", 0.0)
    return make_plan(make_ablations(["bank-size", "pseudo-seen"], recipe), Store(RunDir(tmp_path)))


def test_jobs_run_one_after_the_other_in_the_plans_order(plan):
    launcher = Fake()
    assert Schedule(plan, launcher).run() == {}
    assert launcher.started == [(job.stage, len(job.nodes)) for job in plan.jobs()]
    assert launcher.most == 1


def test_several_jobs_run_at_once_but_none_before_its_needs(plan):
    launcher = Fake(num_slots=3)
    Schedule(plan, launcher).run()
    assert launcher.most == 3
    stages = [stage for stage, _ in launcher.started]
    assert stages[:3] == ["data", "split", "embeddings"]
    assert stages[3:6] == ["base"] * 3
    assert sorted(launcher.started) == sorted((job.stage, len(job.nodes)) for job in plan.jobs())


def test_stages_that_need_a_failed_one_have_its_reason_and_the_rest_continues(plan):
    base = next(job for job in plan.jobs() if job.stage == "base")
    launcher = Fake(failing=(base.name,))
    failed = Schedule(plan, launcher).run()
    assert {plan.nodes[node].stage for node in failed} == {"base", "queries", "cat", "union", "evaluation"}
    assert len(failed) == 5
    assert {failure.reason for failure in failed.values()} == {"made to"}
    assert len(launcher.started) == len(plan.jobs()) - 4


def test_one_cell_of_a_job_may_fail(plan):
    union = next(job for job in plan.jobs() if job.stage == "union" and len(job.nodes) > 1)
    launcher = Fake(failing=(union.nodes[1],))
    failed = Schedule(plan, launcher).run()
    assert set(failed) == {union.nodes[1], *(n.id for n in plan.nodes.values() if union.nodes[1] in n.earlier)}
    assert ("evaluation", 3) in launcher.started


def test_the_schedule_ends_when_everything_fails(plan):
    failed = Schedule(plan, Fake(failing=("data",))).run()
    assert set(failed) == {node.id for node in plan.missing}


def test_an_interrupted_command_ends_its_running_jobs(plan):
    class Interrupting(Fake):
        def start(self, path, stage, cells, slot):
            if len(self.started) == 4:
                raise KeyboardInterrupt
            return super().start(path, stage, cells, slot)

    launcher = Interrupting(num_slots=3)
    with pytest.raises(KeyboardInterrupt):
        Schedule(plan, launcher).run()
    assert [job.ended for slot, job in sorted(launcher.running.items())] == [True] * len(launcher.running)


@pytest.mark.parametrize(("validation", "runs"), [("first", []), ("second", ["evaluation"])])
def test_the_split_decides_what_is_left_to_run(recipe, finish, monkeypatch, validation, runs):
    """A finished run whose split is gone: what the next one writes is compared with what the stages read."""
    monkeypatch.setattr("scaseg_cli.ablations.jobs.schedule._POLL", 0.0)
    work = finish(recipe)
    (work.path / "split" / "result.txt").write_text("cut")
    (ablation,) = make_ablations(["gamma"], recipe, values=[recipe.base.v2c.gamma])
    plan = make_plan([ablation], Store(work))
    assert {plan.states[node] for node in plan.nodes if plan.nodes[node].stage != "data"} == {"missing"}
    plan.store.prepare(plan.nodes, plan.states)

    class Real(Fake):
        def start(self, path, stage, cells, slot):
            for own, run in cells:
                finish(own, str(run.path), only=stage, validation=validation)
            return super().start(path, stage, cells, slot)

    launcher = Real()
    schedule = Schedule(plan, launcher)
    assert schedule.run() == {}
    assert [stage for stage, _ in launcher.started] == ["split", *runs]
    assert {plan.store.state(node) for node in plan.nodes.values()} == {"there"}
    shared = {node.stage for node in plan.nodes.values() if not plan.store.is_own(node)}
    assert shared == {"data", "embeddings", "base", "queries", "cat", "union", "evaluation"} - set(runs)
