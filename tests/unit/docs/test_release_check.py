"""Checks what .ci/release_check.py says against a release, by the texts that it reads."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SPEC = importlib.util.spec_from_file_location("release_check", ROOT / ".ci" / "release_check.py")
release_check = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(release_check)

CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n### Added\n\n- x\n\n## [0.1.0] - 2026-11-23\n"
CITATION = 'cff-version: 1.2.0\nversion: "0.2.0"\n'


def test_a_release_in_order_has_nothing_against_it():
    assert list(release_check.reasons("0.2.0", CHANGELOG, CITATION)) == []


@pytest.mark.parametrize(
    ("version", "changelog", "citation", "said"),
    [
        ("0.2.0.dev0", CHANGELOG, CITATION, ["is 0.2.0.dev0", "newest release is 0.2.0", "the version is 0.2.0"]),
        (
            "0.3.0",
            CHANGELOG,
            CITATION.replace("0.2.0", "0.3.0"),
            ["newest release is 0.2.0, the package's version 0.3.0"],
        ),
        ("0.2.0", CHANGELOG.replace("d]\n", "d]\n\n- y\n"), CITATION, ["Unreleased has entries"]),
        ("0.2.0", CHANGELOG.replace(" - 2026-12-01", ""), CITATION, ["the heading of 0.2.0 has no date"]),
        ("0.2.0", CHANGELOG, CITATION.replace("0.2.0", "0.1.0"), ["CITATION.cff: the version is 0.1.0"]),
        ("0.2.0", "", "", ["newest release is no version", "no version has no date", "the version is missing"]),
    ],
)
def test_each_reason_is_said(version, changelog, citation, said):
    found = list(release_check.reasons(version, changelog, citation))
    assert len(found) == len(said)
    assert all(part in reason for part, reason in zip(said, found, strict=True))


def test_the_changelog_and_the_citation_have_the_parts_that_it_reads():
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("CHANGELOG.md", "CITATION.cff")]
    allowed = ("Unreleased has entries", "CITATION.cff: the version is", "the newest release is")
    assert all(any(part in reason for part in allowed) for reason in release_check.reasons("0.2.0", *texts))
