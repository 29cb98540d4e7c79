"""Work spread over processes: results in order, errors, a killed process, and memory that is kept.

The tasks are expressions and the function is `eval`, because another process cannot import a test.
"""

import os
import platform
import subprocess
import sys

import pytest

from scaseg_cli.data.processes import spread
from scaseg_cli.errors import ScasegError

PID = "__import__('os').getpid()"


def test_results_are_in_order_and_this_process_works_too():
    tasks = [f"({place}, {PID}, __import__('time').sleep(0.02))" for place in range(60)]
    with spread(2, "counted") as mapped:
        found = list(mapped(eval, tasks))
        assert list(mapped(eval, [])) == []
    assert [place for place, *_ in found] == list(range(60))
    workers = {pid for _, pid, _ in found}
    assert len(workers) == 2
    assert os.getpid() in workers


@pytest.mark.parametrize("processes", [1, 2])
def test_the_first_error_in_order_is_raised_after_the_results_before_it(processes):
    found = []
    with pytest.raises(ZeroDivisionError), spread(processes, "counted") as mapped:  # noqa: PT012
        for value in mapped(eval, [*map(str, range(7)), "1 / 0", *["[].x"] * 9]):
            found.append(value)  # noqa: PERF402
    assert found == list(range(7))


def test_a_killed_process_is_named_by_its_work():
    with pytest.raises(ScasegError, match="a process that counted was killed"), spread(2, "counted") as mapped:
        list(mapped(eval, [f"{PID} == {os.getpid()} or __import__('os')._exit(1)"] * 20))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators are left as they are")
def test_the_memory_of_one_image_serves_for_the_next():
    code = """if True:
        import resource
        import numpy as np
        from scaseg_cli.data.kept_memory import keep_freed_memory

        def faults():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(20):
                [np.ones(2**20, np.uint8) for _ in range(8)]
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

        faults()
        as_it_is = faults()
        keep_freed_memory()
        faults()
        print(as_it_is, faults())"""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run([sys.executable, "-c", code], env=plain, capture_output=True, text=True, check=True)
    as_it_is, kept = map(int, done.stdout.split())
    assert kept < 50 < as_it_is


def test_a_process_that_compares_predictions_imports_no_command_line():
    code = "import sys, scaseg_cli.__main__, scaseg_cli.external.compare, scaseg_cli.data.processes\n"
    code += "print(*{'typer', 'rich', 'pydantic', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
