"""Compare the memory that joining the query pass's shards takes with that of an earlier commit's build.

    python benchmarks/query_shards.py

Each build writes shards of its own, random numbers, and joins them in a process of its own. What the process needed at
most, above what it had before, is compared with the size of the joined embeddings.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from earlier_build import EARLIER, ROOT, earlier_build, using
from measuring import Goal, Outcome, machine_of, run_benchmark

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    import argparse

NUM_SHARDS = {"small": 20, "published": 231}  # 231 of 512 images: COCO's training images
_ROWS, _WIDTH = 512 * 8, 256  # of a shard
_JOIN = """
import json, resource, sys
from pathlib import Path
import torch
from scaseg_cli.checkpoints import save_state
from scaseg_cli.queries.collect import _joined
def peak():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
folder, number, rows, width = Path(sys.argv[1]), *map(int, sys.argv[2:])
files = [folder / f"shard-{place:05d}.pt" for place in range(number)]
for place, file in enumerate(files):
    drawn = torch.Generator().manual_seed(place)
    matched, null = (torch.randn(size, width, generator=drawn) for size in (rows, rows // 2))
    labels = torch.zeros(4, dtype=torch.int64)
    save_state(file, {"key": "k", "matched": matched, "classes": torch.zeros(rows, dtype=torch.int64), "null": null,
                      "labels": labels})
del matched, null
before = peak()
found = _joined(files, "k")
tensors = found[0] if isinstance(found[0], tuple) else found
print(json.dumps([peak() - before, sum(one.numel() * one.element_size() for one in tensors)]))
"""


def joined(build: Path, folder: Path, num_shards: int) -> tuple[float, float]:
    """Write and join shards with ``build``; returns the bytes that joining needed, and those of what it returned.

    Raises:
        ScasegError: the build failed; its output says why.
    """
    folder.mkdir()
    with using(build):
        done = subprocess.run(
            [sys.executable, "-P", "-c", _JOIN, str(folder), str(num_shards), str(_ROWS), str(_WIDTH)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise ScasegError(f"joining ended with code {done.returncode}: {done.stderr.strip()}")
    needed, size = json.loads(done.stdout)
    return needed, size


def measure(options: argparse.Namespace) -> Outcome:
    """Join with both builds."""
    with tempfile.TemporaryDirectory(prefix="scaseg-benchmark-") as folder:
        builds = {"before": earlier_build(Path(folder) / "build"), "now": ROOT}
        found = {name: joined(build, Path(folder) / name, NUM_SHARDS[options.size]) for name, build in builds.items()}
    needed = {name: bytes_needed / size for name, (bytes_needed, size) in found.items()}
    return Outcome(
        benchmark="query_shards",
        device="cpu",
        size=options.size,
        ratio_of="memory to join the shards / size of the embeddings",
        ratio=needed["now"],
        goal=Goal("at most", 1.25),
        figures={
            "GB of the embeddings": found["now"][1] / 1e9,
            "before: memory / size": needed["before"],
            "now: memory / size": needed["now"],
        },
        notes=(
            f"{NUM_SHARDS[options.size]} shards of {_ROWS:,} queries with a segment and half as many without, {_WIDTH} "
            f"numbers each; the most that the process needed above what it had. Before: the build of commit {EARLIER}.",
        ),
        machine=machine_of("cpu"),
    )


if __name__ == "__main__":
    sys.exit(run_benchmark("Joining the shards of the query pass", ("cpu",), measure))
