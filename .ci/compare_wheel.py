"""Compares a wheel with the tree that it was built from: `compare_wheel.py WHEEL ROOT`. Exits with 1 if they differ."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

INSIDE = {"recipes": "scaseg_cli/recipes", "sweeps": "scaseg_cli/sweeps"}  # folders that move into the package


def in_tree(root: Path) -> dict[str, bytes]:
    """What the wheel must hold, by its name there: every tracked file of the package, the recipes and the sweeps."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "scaseg_cli", *INSIDE], cwd=root, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    found = {}
    for name in filter(None, tracked):
        top, *rest = PurePosixPath(name).parts
        found["/".join((INSIDE.get(top, top), *rest))] = (root / name).read_bytes()
    return found


def main(wheel: Path, root: Path) -> int:
    """Returns the exit code."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        content = {name: archive.read(name) for name in names}
    wanted = in_tree(root)
    wrong = [f"not in the wheel: {name}" for name in sorted(wanted.keys() - content.keys())]
    wrong += [f"in the wheel alone: {name}" for name in sorted(content.keys() - wanted.keys())]
    wrong += [f"differs: {name}" for name in sorted(wanted.keys() & content.keys()) if wanted[name] != content[name]]
    sys.stderr.writelines(f"{line}\n" for line in wrong)
    if not wrong:
        sys.stdout.write(f"wheel: {len(content)} files, as in the tree\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
