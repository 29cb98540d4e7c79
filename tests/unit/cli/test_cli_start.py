"""The command line starts quickly, since heavy modules are imported only when a command needs them."""

import subprocess
import sys
from pathlib import Path

import pytest
from prediction_files import strips, write_pairs

HEAVY = (
    "torch",
    "torchvision",
    "mmcv",
    "mmdet",
    "mmengine",
    "mmseg",
    "open_clip",
    "numpy",
    "matplotlib",
    "cv2",
    "jinja2",
    "sklearn",
    "pydantic",
)

QUICK = tuple(name for name in HEAVY if name not in ("numpy", "cv2"))


def test_scoring_predictions_loads_no_network_and_no_pydantic(tmp_path: Path) -> None:
    """Its start is most of the time where there are few images."""
    write_pairs(tmp_path, [strips("1122", {1: 1, 2: 3}, "1122", {1: 1, 2: 3})])
    files = ["--predictions", f"{tmp_path}/predictions", "--annotations", f"{tmp_path}/labels.json"]
    code = f"""
import sys
from scaseg_cli.cli.app import main
code = main({["evaluate", *files]})
print(code, *[name for name in {QUICK} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "100.0" in done.stdout
    assert done.stderr.split() == ["0"]


OURS = tuple(name for name in HEAVY if name != "pydantic")  # typer itself loads it to show a command's help


@pytest.mark.parametrize("arguments", [["--help"], ["train-base", "--help"], ["report", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """No heavy module is imported. Times are not measured, since they depend on the machine's load."""
    code = f"""
import sys
from scaseg_cli.cli.app import main
code = main({arguments})
print(code, *[name for name in {OURS} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "scaseg" in done.stdout
    assert done.stderr.split() == ["0"]
