"""`scaseg ablate` in processes of its own: killed in its midst, several jobs at once, jobs of a cluster."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from tiny_runs import scaseg_json, signal_when

from scaseg_cli.ablations.ablate import make_ablations
from scaseg_cli.ablations.plan import Plan, make_plan
from scaseg_cli.ablations.store import Store
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from damaged_world import World

TINY = ("-r", "tiny.yaml", "-w", "run")
LONG = """
title: Two trainings of the generator, of which the second takes its time
varies: [cat.iterations]
values: [6, 600]
settings: [transductive]
"""


def plan_of(name: str) -> Plan:
    return make_plan(make_ablations([name], load_recipe("tiny.yaml")), Store(RunDir(Path("run"))))


def outputs_of(name: str, stage: str) -> list[dict[str, dict[str, object]]]:
    """Of every cell, the hashes of a finished stage's files."""
    plan = plan_of(name)
    records = [plan.store.run(node).record(stage) for node in plan.nodes.values() if node.stage == stage]
    return [record["outputs"] for record in records if record is not None]


def test_killed_in_its_midst_it_goes_on(world: World) -> None:
    (world.folder / "mine.yaml").write_text(LONG)
    plan = plan_of("mine.yaml")
    first, second = (plan.store.run(plan.nodes[job.name]) for job in plan.jobs() if job.stage == "cat")
    command = ("ablate", "mine.yaml", *TINY)
    midst = second.path.absolute() / "cat" / "progress.pt"
    assert signal_when(midst, signal.SIGKILL, world.folder, *command) == -signal.SIGKILL
    assert second.record("cat") is None
    made = first.record_file("cat").stat().st_mtime_ns
    assert [node.stage for node in plan_of("mine.yaml").missing] == [
        "union",
        "evaluation",
        "cat",
        "union",
        "evaluation",
    ]
    report = scaseg_json(world.folder, *command)
    assert (report["num_run"], report["num_failed"]) == (5, 0)
    assert first.record_file("cat").stat().st_mtime_ns == made
    assert "generator: resuming from iteration" in (world.folder / "stderr.txt").read_text()
    assert [row["row"] for row in report["ablations"][0]["tables"][0]["rows"]] == ["5", "6", "600"]


def test_two_jobs_at_once_give_what_one_gives(world: World) -> None:
    command = ("ablate", "generator", "--values", "VAE as published,ridge Gaussian", *TINY)
    report = scaseg_json(world.folder, *command, "--jobs", "2")
    assert (report["num_run"], report["num_failed"]) == (6, 0)
    said = (world.folder / "stderr.txt").read_text()
    assert said.index("2 of 4, cat") < said.index("cat: 1 done")  # the second began before the first had ended
    together = outputs_of("generator", "union")
    (world.folder / "run" / "ablations").rename(world.folder / "apart")
    assert world.scaseg(*command[:4]).code == 0
    assert outputs_of("generator", "union") == together
    assert len(together) == 3


def test_jobs_of_a_cluster(world: World) -> None:
    """Through submitit, whose local executor stands in for the cluster."""
    report = scaseg_json(world.folder, "ablate", "increment", "--values", "0.0", *TINY, "--launcher", "local")
    assert (report["num_run"], report["num_failed"]) == (1, 0)
    assert list((world.folder / "run" / "ablations" / "jobs").glob("*_log.out"))
    (cell,) = [cell for cell in report["ablations"][0]["cells"] if cell["row"] == "0"]
    record = json.loads((world.folder / cell["folder"] / "evaluation" / "record.json").read_text())
    assert record["summary"]["inductive"]["seen"].keys() == {"pq", "sq", "rq"}
