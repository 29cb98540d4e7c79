"""What an interrupted call has written is found by the same call, and by no other one."""

from __future__ import annotations

from pathlib import Path

import pytest

from scaseg_cli.prediction.journal import NAME, Entry, Journal
from scaseg_cli.prediction.sources import Source, find_sources


def entry(number: int) -> Entry:
    return Entry({"id": number}, {"image_id": number, "file_name": f"{number}.png"}, [{"score": 0.5}])


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    (tmp_path / "photos").mkdir()
    for number in range(5):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(b"x" * number)
    return find_sources([str(tmp_path / "photos")])


def interrupted(folder: Path, sources: list[Source], key: str = "k", batch: int = 1) -> None:
    """A call that was interrupted after these images, each as the first of a batch of so many."""
    journal = Journal(folder, key)
    journal.begin()
    for place, source in enumerate(sources):
        journal.add(source, entry(source.image_id), place % batch == 0)
    journal.end(finished=False)


def names(folder: Path, key: str = "k") -> list[str]:
    return [Path(path).stem for path in Journal(folder, key).entries]


def test_the_same_call_finds_all_but_the_last_batch_and_goes_on_after_them(
    tmp_path: Path, sources: list[Source]
) -> None:
    interrupted(tmp_path, sources[:4], batch=2)
    assert names(tmp_path) == ["0", "1"]
    assert next(iter(Journal(tmp_path, "k").entries.values())) == entry(sources[0].image_id)
    interrupted(tmp_path, sources[2:5], batch=2)
    assert names(tmp_path) == ["0", "1", "2", "3"]
    journal = Journal(tmp_path, "k")
    journal.begin()
    journal.end(finished=True)
    assert not (tmp_path / NAME).exists()
    assert names(tmp_path) == []


def test_a_batch_that_was_repeated_in_part_is_not_taken_in_part(tmp_path: Path, sources: list[Source]) -> None:
    interrupted(tmp_path, sources[:5], batch=3)
    assert names(tmp_path) == ["0", "1", "2"]
    interrupted(tmp_path, sources[3:4], batch=3)
    assert names(tmp_path) == ["0", "1", "2"]
    interrupted(tmp_path, [])
    assert names(tmp_path) == ["0", "1", "2"]


def test_another_call_begins_anew(tmp_path: Path, sources: list[Source]) -> None:
    interrupted(tmp_path, sources)
    assert names(tmp_path, "other") == []
    interrupted(tmp_path, sources[:2], "other")
    assert names(tmp_path) == []
    assert names(tmp_path, "other") == ["0"]


def test_a_changed_or_missing_image_is_left_out(tmp_path: Path, sources: list[Source]) -> None:
    interrupted(tmp_path, sources)
    sources[0].path.write_bytes(b"another photograph")
    sources[1].path.unlink()
    assert names(tmp_path) == ["2", "3"]


@pytest.mark.parametrize("cut", [20, 60])
def test_a_line_that_was_cut_off_costs_its_batch_alone(tmp_path: Path, sources: list[Source], cut: int) -> None:
    interrupted(tmp_path, sources)
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:-cut])
    assert names(tmp_path) == ["0", "1", "2"]
    interrupted(tmp_path, sources[3:])
    assert names(tmp_path) == ["0", "1", "2", "3"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{}\n{}\n", b'{"key": "k"}\n[1, 2]\n{"source": 5}\n'])
def test_odd_content_is_no_entry(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    assert Journal(tmp_path, "k").entries == {}


def test_a_link_in_its_place_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / NAME).symlink_to(tmp_path / "mine")
    journal = Journal(tmp_path, "k")
    journal.begin()
    journal.end(finished=False)
    assert (tmp_path / "mine").read_text() == "mine"
