"""The folder that predictions are written to; only files of an earlier `scaseg predict` are ever replaced."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import is_unfinished, read_json, real_path, remove_unfinished, write_json
from scaseg_cli.prediction.sources import Source, result_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MADE_BY = "scaseg predict"
_ANOTHER = "Choose another folder with --output."


@dataclass(frozen=True)
class OutputFolder:
    """An output folder of predictions."""

    path: Path

    @property
    def json_file(self) -> Path:
        """The JSON of all images' segments, in COCO's panoptic format."""
        return self.path / "predictions.json"

    def map_file(self, source: Source) -> Path:
        """Return the path of an image's segment map."""
        return self.path / result_names(source.stem)[0]

    def overlay_file(self, source: Source) -> Path:
        """Return the path of an image's overlay."""
        return self.path / result_names(source.stem)[1]

    @property
    def masks_file(self) -> Path:
        """The JSON of all images' masks, in COCO's format of results."""
        return self.path / "masks.json"

    def prepare(self, sources: Sequence[Source], document: dict[str, Any]) -> None:
        """Check and create the folder, and write the JSON without images, so that it never lists older files.

        Raises:
            ScasegError: as `check`.
        """
        self.check(sources)
        remove_unfinished(self.path)
        self.masks_file.unlink(missing_ok=True)
        write_json(self.json_file, document)

    def check(self, sources: Sequence[Source]) -> None:
        """Create the folder, and check that the results may be written there.

        Raises:
            ScasegError: the folder cannot be written, has files that `scaseg predict` did not make, or an input image
                would be replaced.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ScasegError(f"the folder {self.path} cannot be created: {error.strerror}", _ANOTHER) from error
        if not os.access(self.path, os.W_OK):
            raise ScasegError(f"the folder {self.path} cannot be written", _ANOTHER)
        others = [path for path in self.path.iterdir() if not is_unfinished(path.name)]
        if others and not self._is_ours():
            raise ScasegError(f"the folder {self.path} has files that `{MADE_BY}` did not make", _ANOTHER)
        results = {real_path(path(source)) for source in sources for path in (self.map_file, self.overlay_file)}
        for source in sources:
            if real_path(source.path) in results:
                raise ScasegError(f"the image {source.path} would be replaced by a result", _ANOTHER)

    def _is_ours(self) -> bool:
        if not self.json_file.is_file():
            return False
        content = read_json(self.json_file, "the file of predictions")
        info = content.get("info") if isinstance(content, dict) else None
        return isinstance(info, dict) and info.get("made_by") == MADE_BY
