"""Figures that peers published, on COCO, for reading beside the table; they are no part of any comparison here."""

from __future__ import annotations

from typing import NamedTuple

from scaseg_cli.measures.summary import harmonic_mean
from scaseg_cli.results.table import Column, Table

_PADING = "github.com/heshuting555/PADing, README"
_ZEGCLIP = "github.com/ZiqinZhou66/ZegCLIP, README"
_CLIP_RC = "github.com/uyzhang/CLIP-RC, README"
LABEL = "COCO, as published"


class PublishedFigure(NamedTuple):
    """A published row: the main measure for seen and unseen classes, in percent, and where it stands."""

    task: str
    method: str
    setting: str
    seen: float
    unseen: float
    source: str


FIGURES = (
    PublishedFigure("zps", "PADing, released code", "transductive", 37.7, 14.4, _PADING),
    PublishedFigure("zss", "PADing, released code", "transductive", 40.6, 26.4, _PADING),
    PublishedFigure("zss", "ZegCLIP", "inductive", 40.2, 41.1, _ZEGCLIP),
    PublishedFigure("zss", "ZegCLIP, self-training", "transductive", 40.7, 59.9, _ZEGCLIP),
    PublishedFigure("zss", "CLIP-RC", "inductive", 40.9, 41.6, _CLIP_RC),
    PublishedFigure("zss", "CLIP-RC, self-training", "transductive", 42.0, 60.8, _CLIP_RC),
)


def published_table(task: str, title: str) -> Table:
    """Make the table of published figures of a task.

    Args:
        task: zps or zss.
        title: the main measure's.
    """
    columns = [
        Column("method", "method"),
        Column("setting", "setting"),
        Column("seen", f"s{title}", "percent"),
        Column("unseen", f"u{title}", "percent"),
        Column("harmonic", f"h{title}", "percent"),
        Column("source", "source", is_detail=True),
    ]
    rows = [
        {
            "method": one.method,
            "setting": one.setting,
            "seen": one.seen / 100,
            "unseen": one.unseen / 100,
            "harmonic": harmonic_mean(one.seen / 100, one.unseen / 100),
            "source": one.source,
        }
        for one in FIGURES
        if one.task == task
    ]
    notes = [
        "Measured by their authors on COCO with other base models; not comparable with the table above. The harmonic "
        "mean is computed from the two figures."
    ]
    return Table(f"Published figures ({LABEL})", columns, rows, notes)
