"""Messages also go to the log of the innermost block."""

from scaseg_cli.results.console import logging_to, say


def test_a_block_inside_another_has_a_log_of_its_own(tmp_path):
    outer, inner = tmp_path / "outer.txt", tmp_path / "inner.txt"
    with logging_to(outer):
        say("first")
        with logging_to(inner):
            say("second")
        say("third")
    say("fourth")
    assert outer.read_text().split() == ["first", "third"]
    assert inner.read_text().split() == ["second"]
