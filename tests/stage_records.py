"""The record of a finished stage, for tests that need one without running the stage."""

from typing import Any

RECORD: dict[str, Any] = {
    "key": "k", "seed": 0, "gpus": 0, "processes": 1, "nodes": 1, "seconds": 1.0, "summary": {}, "needs": {},
    "outputs": {}, "outside_files": {}, "versions": {}, "commit": None,
}  # fmt: skip
