"""The README's commands, typed from top to bottom in one folder: all end well, and the first result is never lost."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from command_line import contents, scaseg

if TYPE_CHECKING:
    import pytest

README = Path(__file__).parents[2] / "README.md"
# What `scaseg` takes in this folder where it takes shapes-zps elsewhere: the same, but short.
SHORT = """
extends: shapes-zps
name: shapes-zps
threads: 1
data: {shapes: {num_train: 24, num_selection: 8, num_validation: 40, image_size: 64, unseen_fraction: 0.2}}
base: {iterations: 2, batch_size: 2, warmup: 0, num_points: 128, decoder_layers: 1}
queries: {views: 1}
cat: {iterations: 5, batch_size: 32}
union: {iterations: 4, batch_size: 32, candidates: 1}
evaluation: {increments: [1.0]}
"""
FIRST = ("data", "split", "embeddings", "base", "queries", "cat", "union", "evaluation")


def commands() -> list[list[str]]:
    """The words of each `scaseg` command below "What to type next", in order."""
    section = README.read_text(encoding="utf-8").split("## What to type next")[1].split("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("scaseg ")]
    return [shlex.split(re.split(r" 2>| \| ", line)[0], comments=True)[1:] for line in lines]


def test_the_commands_run_in_order_and_the_first_result_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scaseg.yaml").write_text(SHORT, encoding="utf-8")
    run = tmp_path / "runs" / "shapes-zps"
    assert scaseg(capfd, "run").code == 0  # as `make demo` does
    first = {stage: contents(run / stage) for stage in FIRST}
    walked = commands()
    assert len(walked) > 10
    ran: dict[str, list[str]] = {}
    for words in walked:
        outcome = scaseg(capfd, *words)
        assert outcome.code == 0, f"scaseg {shlex.join(words)}:\n{outcome.err}"
        ran[shlex.join(words)] = re.findall(r"^(\w+): done in ", outcome.err, flags=re.MULTILINE)
    assert ran["run --set union.unseen_pull.beta=0"] == ["union", "evaluation"]
    assert ran["run"] == []  # back to the first recipe
    back = scaseg(capfd, "run", "--json")
    assert {stage["ran"] for stage in json.loads(back.out)["stages"]} == {False}
    assert {stage: contents(run / stage) for stage in FIRST} == first
    kept = json.loads(scaseg(capfd, "status", "--json").out)["kept"]
    assert {result["stage"]: result["state"] for result in kept} == {"union": "finished", "evaluation": "finished"}
