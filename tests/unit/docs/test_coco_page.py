"""Checks that the commands of docs/coco.md can be typed, and that it fetches what the doctor finds missing."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from scaseg_cli.cli.app import app
from scaseg_cli.doctor.data import data_findings
from scaseg_cli.doctor.gpu_memory import MARGIN, gpu_memory
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir

PAGE = (Path(__file__).parents[3] / "docs" / "coco.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
SHELL = [line for block in BLOCKS for line in block.splitlines()]
COMMANDS = [line for line in SHELL if line.startswith("scaseg ")]


def _plain(line: str) -> list[str]:
    return shlex.split(line, comments=True)


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_parses(line: str) -> None:
    _, command, *words = shlex.split(line, comments=True)
    get_command(app).commands[command].make_context("scaseg", words)  # parses; nothing runs


def test_changed_keys_exist() -> None:
    changes = [change for change in re.findall(r"--set ([\w.]+=[\w./]+)", PAGE) if "PATH" not in change]
    assert len(changes) > 5
    for change in changes:
        load_recipe("coco-zss", (change,))


@pytest.mark.parametrize("name", ["coco-zps", "coco-zss"])
def test_it_fetches_what_the_doctor_asks_for(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    findings = data_findings(load_recipe(name), RunDir(tmp_path / "run"))
    steps = [step for item in findings for line in (item.mend or "").splitlines() for step in line.split(" && ")]
    assert len(steps) >= 8
    typed = [_plain(line) for line in SHELL]
    assert [step for step in steps if _plain(step) not in typed] == []


def test_the_table_of_memory_is_what_the_doctor_computes() -> None:
    rows = re.findall(r"^\| (\d+) \| (\d+) \|" + r" ([\d.]+) GB \|" * 4 + "$", PAGE, flags=re.MULTILINE)
    assert len(rows) == 4
    for images, crop, *told in rows:
        expected = []
        for amp in ("off", "bf16"):
            changes = ("gpus=1", f"base.batch_size={images}", f"base.crop={crop}", f"base.amp={amp}")
            needed = gpu_memory(load_recipe("coco-zps", changes)) / 1e9
            expected += [f"{needed / MARGIN:.1f}", f"{needed:.1f}"]
        assert told == expected
