"""The page of peers: means and spreads over the seeds, rows in the order of `scaseg peers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from benchmark_files import benchmark

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

COLUMNS = {
    "name": "name", "row": "row", "image_tower": "image tower at test", "unseen_names": "unseen names in training",
    "milliseconds": "ms an image", "seconds": "training s", "seen": "sPQ", "unseen": "uPQ", "harmonic": "hPQ",
    "difference": "hPQ against SCA", "difference_low": "from", "difference_high": "to",
}  # fmt: skip


@pytest.fixture
def made() -> ModuleType:
    return benchmark("peers_page")


def table(gmmn: float, sca: float) -> dict[str, Any]:
    def row(name: str, value: float, difference: float | None) -> dict[str, Any]:
        ends = (None, None) if difference is None else (difference - 0.01, difference + 0.02)
        return {
            "name": name, "row": name, "image_tower": False, "unseen_names": True, "milliseconds": 10.0 + value,
            "seconds": 100 * value, "seen": value, "unseen": value, "harmonic": value, "difference": difference,
            "difference_low": ends[0], "difference_high": ends[1],
        }  # fmt: skip

    columns = [{"key": key, "title": title} for key, title in COLUMNS.items()]
    return {"columns": columns, "rows": [row("gmmn", gmmn, gmmn - sca), row("sca", sca, None)]}


def test_means_spreads_and_seeds_above(made: ModuleType) -> None:
    found = {"shapes-zps": {"0": table(0.52, 0.5), "1": table(0.54, 0.55)}}
    text = made.page(f"kept\n{made.MARK}replaced", found)
    assert text.startswith("kept\n")
    assert "replaced" not in text
    assert "shapes-zps, seeds 0, 1" in text
    row = "| `gmmn` | no | yes | 10.5 | 53.0 | 53.0 ± 1.4 | 53.0 ± 1.4 | 53.0 ± 1.4 | +0.5 | -0.5 | +2.5 | 1 of 2 |"
    assert row in text
    assert text.index("`gmmn`") < text.index("`sca`")
    sca = next(line for line in text.splitlines() if "`sca`" in line).replace("**", "")
    assert sca.endswith("| 52.5 ± 3.5 | - | - | - | - |")


def test_the_committed_page_is_that_of_the_committed_tables(made: ModuleType, tmp_path: Path) -> None:
    copy = tmp_path / "peers.md"
    copy.write_text(made.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    made.main(["--page-only", "--page", str(copy)])
    assert copy.read_text(encoding="utf-8") == made.PAGE.read_text(encoding="utf-8")
