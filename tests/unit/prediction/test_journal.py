"""What an interrupted call has written is found by the same call, and by no other one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scaseg_cli.errors import ScasegError
from scaseg_cli.prediction.journal import NAME, Entry, Journal
from scaseg_cli.prediction.sources import Source, find_sources

if TYPE_CHECKING:
    from pathlib import Path


def entry(number: int) -> Entry:
    return Entry({"id": number}, {"image_id": number, "file_name": f"{number}.png"}, [{"score": 0.5}])


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    (tmp_path / "photos").mkdir()
    for number in range(3):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(b"x" * number)
    return find_sources([str(tmp_path / "photos")])


def interrupted(folder: Path, sources: list[Source], key: str = "k") -> None:
    journal = Journal(folder, key)
    journal.begin()
    for source in sources:
        journal.add(source, entry(source.image_id))
    journal.end(finished=False)


def test_the_same_call_finds_what_was_written_and_goes_on_after_it(tmp_path: Path, sources: list[Source]) -> None:
    interrupted(tmp_path, sources[:1])
    assert list(Journal(tmp_path, "k").entries.values()) == [entry(sources[0].image_id)]
    interrupted(tmp_path, sources[1:2])
    assert len(Journal(tmp_path, "k").entries) == 2
    journal = Journal(tmp_path, "k")
    journal.begin()
    journal.end(finished=True)
    assert not (tmp_path / NAME).exists()
    assert Journal(tmp_path, "k").entries == {}


def test_another_call_begins_anew(tmp_path: Path, sources: list[Source]) -> None:
    interrupted(tmp_path, sources)
    assert Journal(tmp_path, "other").entries == {}
    interrupted(tmp_path, sources[:1], "other")
    assert Journal(tmp_path, "k").entries == {}
    assert len(Journal(tmp_path, "other").entries) == 1


def test_a_changed_or_missing_image_is_left_out(tmp_path: Path, sources: list[Source]) -> None:
    interrupted(tmp_path, sources)
    sources[0].path.write_bytes(b"another photograph")
    sources[1].path.unlink()
    assert list(Journal(tmp_path, "k").entries) == [str(sources[2].path)]


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_line_that_was_cut_off_costs_its_image_alone(tmp_path: Path, sources: list[Source], cut: int) -> None:
    interrupted(tmp_path, sources)
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:-cut])
    assert len(Journal(tmp_path, "k").entries) == (3 if cut == 1 else 2)
    interrupted(tmp_path, sources[2:])
    assert len(Journal(tmp_path, "k").entries) == 3


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{}\n{}\n", b'{"key": "k"}\n[1, 2]\n{"source": 5}\n'])
def test_odd_content_is_no_entry(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    assert Journal(tmp_path, "k").entries == {}


def test_a_link_in_its_place_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / NAME).symlink_to(tmp_path / "mine")
    with pytest.raises(ScasegError, match="is a link"):
        Journal(tmp_path, "k").begin()
    assert (tmp_path / "mine").read_text() == "mine"
