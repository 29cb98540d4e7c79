"""One uninterrupted tiny run, made once, for all integration tests to look at; they must not change it."""

import pytest
from tiny_runs import TinyRun, scaseg_json, write_recipe


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    folder = tmp_path_factory.mktemp("tiny")
    write_recipe(folder)
    report = scaseg_json(folder, "run", "-r", "tiny.yaml")
    return TinyRun(folder, folder / "runs" / "tiny", report)
