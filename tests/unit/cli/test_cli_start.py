"""The command line starts quickly, because what is heavy waits until a command needs it."""

import resource
import subprocess
import sys

import pytest

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
    "pydantic",
)


def cpu_seconds(*command: str) -> float:
    """CPU time, user and system, of a command that must end well."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    ("arguments", "limit"), [(("--help",), 0.3), (("train-base", "--help"), 0.4), (("--version",), 0.3)]
)
def test_help_comes_at_once(arguments: tuple[str, ...], limit: float) -> None:
    assert min(cpu_seconds(sys.executable, "-m", "scaseg_cli", *arguments) for _ in range(5)) < limit


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    code = f"import sys, scaseg_cli.cli.app; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
