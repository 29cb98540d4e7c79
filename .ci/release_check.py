"""Checks that HEAD can be released, and builds its wheel; `make release-check` runs it after style, types and docs.

Prints every reason against a release, one a line, and exits with code 1 if there is any.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
WHEELS = ROOT / "build" / "release"


def reasons(version: str, changelog: str, citation: str) -> Iterator[str]:
    """What in the files speaks against releasing ``version``."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        yield f"the package's version is {version}: a release has three numbers and nothing after them"
    sections = re.findall(r"^## \[([^]]+)\](.*)\n((?:(?!## \[).*\n?)*)", changelog, flags=re.MULTILINE)
    if sections and sections[0][0] == "Unreleased":
        if sections[0][2].strip():
            yield "CHANGELOG.md: Unreleased has entries; move them below a heading of the new version"
        sections = sections[1:]
    newest, rest = sections[0][:2] if sections else ("no version", "")
    if newest != version:
        yield f"CHANGELOG.md: the newest release is {newest}, the package's version {version}"
    if not re.match(r" - \d{4}-\d{2}-\d{2}\b", rest):
        yield f"CHANGELOG.md: the heading of {newest} has no date"
    cited = re.findall(r"^version: *[\"']?([^\"'\s]+)", citation, flags=re.MULTILINE)
    if cited != [version]:
        yield f"CITATION.cff: the version is {', '.join(cited) or 'missing'}, the package's {version}"


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True).stdout


def _build() -> Path:
    """The wheel of HEAD, built from an export of it: old files in build/ cannot get into the wheel."""
    WHEELS.mkdir(parents=True, exist_ok=True)
    for old in WHEELS.glob("*.whl"):
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["tar", "-x", "-C", folder], input=_git("archive", "HEAD"), check=True)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--wheel-dir", str(WHEELS), folder], check=True)
    (wheel,) = WHEELS.glob("*.whl")
    return wheel


def main() -> int:
    """Builds and checks.

    Returns:
        The exit code: 0 if HEAD can be released, else 1.
    """
    found = []
    changed = _git("status", "--porcelain").decode().splitlines()
    if changed:
        found.append(f"git: {len(changed)} files differ from HEAD, such as {changed[0][3:]}; commit them first")
    wheel = _build()
    version = wheel.name.split("-")[1]
    files = [(ROOT / name).read_text(encoding="utf-8") for name in ("CHANGELOG.md", "CITATION.cff")]
    found += reasons(version, *files)
    if _git("tag", "--list", f"v{version}"):
        found.append(f"git: the tag v{version} already exists")
    sys.stderr.writelines(f"{reason}\n" for reason in found)
    if not found:
        sys.stdout.write(f"{wheel.relative_to(ROOT)} can be released as {version}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
