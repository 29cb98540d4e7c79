"""The layout of a run folder: one folder for each stage, with a record of what made it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import inside, of_kind, read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path


SEEDS = "seeds"  # the folder of one run folder for each seed
_RECORD = "record.json"
BEGUN = "begun.json"


class Output(TypedDict):
    """A file that a stage wrote."""

    sha256: str
    bytes: int


class Record(TypedDict):
    """The record of a finished stage, which `stages.recording` writes."""

    key: str
    seed: int
    gpus: int
    processes: int
    nodes: int
    seconds: float
    summary: dict[str, Any]
    needs: dict[str, str | None]
    lists: NotRequired[dict[str, str]]  # digests of what the split wrote, or of what the stage read of it
    outputs: dict[str, Output]  # by their path in the run folder
    outside_files: dict[str, str]
    recipe: NotRequired[dict[str, Any]]  # the recipe's values that the key has, by section; older records lack it
    versions: dict[str, str]
    commit: str | None


class Begun(TypedDict):
    """What says which result an unfinished stage is for; `stages.recording` writes it."""

    key: str
    recipe: dict[str, Any]


@dataclass(frozen=True)
class RunDir:
    """The run folder at ``path``. Each stage has a folder of its name.

    Attributes:
        path: the folder.
        sealed: whether its records count as they are: the files that made it are not on this machine.
    """

    path: Path
    sealed: bool = False

    @property
    def recipe_file(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def log_file(self) -> Path:
        """The log of all commands in this run folder."""
        return self.path / "log.txt"

    # split
    @property
    def classes_file(self) -> Path:
        """The classes in the model's order: seen first, then unseen."""
        return self.path / "split" / "classes.json"

    @property
    def images_file(self) -> Path:
        """Image ids of the training, selection and validation lists."""
        return self.path / "split" / "images.json"

    def label_index_file(self, part: str) -> Path:
        """Index of the classes in the label maps of one part of the data; panoptic labels have none."""
        return self.path / "split" / f"label-maps-{part}.json"

    # embeddings
    @property
    def embeddings_file(self) -> Path:
        """The semantic embeddings of all classes."""
        return self.path / "embeddings" / "embeddings.safetensors"

    # base
    @property
    def base_file(self) -> Path:
        """The trained segmentor with its class projector."""
        return self.path / "base" / "base.safetensors"

    @property
    def validation_file(self) -> Path:
        """Figures on selection images while the segmentor was trained, as CSV."""
        return self.path / "base" / "validation.csv"

    @property
    def best_base_file(self) -> Path:
        """The segmentor with the best of these figures, which no stage uses."""
        return self.path / "base" / "best.safetensors"

    # queries
    @property
    def queries_file(self) -> Path:
        """The query embeddings with their labels, on which stages 2 and 3 train."""
        return self.path / "queries" / "queries.safetensors"

    # folds of the seen classes
    @property
    def folds_file(self) -> Path:
        """The seen classes that each fold holds out, and the images of each."""
        return self.path / "folds" / "folds.json"

    def fold(self, stage: str, number: int) -> Path:
        """The folder of a fold in that of ``stage``, folds or choose; in folds it is a run folder."""
        return self.path / stage / f"fold-{number}"

    @property
    def fold_choice_file(self) -> Path:
        """The values, the snapshot and the increments chosen on the folds, with all scores compared."""
        return self.path / "choose" / "choice.json"

    @property
    def fold_table_file(self) -> Path:
        """The table of the values tried on the folds as JSON, with CSV and Markdown beside it."""
        return self.path / "choose" / "table.json"

    # cat
    @property
    def generator_file(self) -> Path:
        """The trained generator."""
        return self.path / "cat" / "generator.safetensors"

    # union
    @property
    def projector_file(self) -> Path:
        """The fine-tuned class projector, the best on the selection images."""
        return self.path / "union" / "best.safetensors"

    @property
    def last_projector_file(self) -> Path:
        """The fine-tuned class projector after the last step."""
        return self.path / "union" / "last.safetensors"

    @property
    def best_increment_file(self) -> Path:
        """The fine-tuned class projector that scores best on the selection images with an increment."""
        return self.path / "union" / "best_increment.safetensors"

    @property
    def control_file(self) -> Path:
        """The control: the class projector fine-tuned in the same way without generated embeddings."""
        return self.path / "union" / "control.safetensors"

    @property
    def choices_file(self) -> Path:
        """The snapshot and increments chosen on the selection images, with all scores compared."""
        return self.path / "union" / "choices.json"

    # evaluation
    @property
    def results_file(self) -> Path:
        """The result table as JSON, with CSV and Markdown beside it."""
        return self.path / "evaluation" / "results.json"

    @property
    def per_class_file(self) -> Path:
        """The per-class table as JSON, with CSV and Markdown beside it."""
        return self.path / "evaluation" / "per-class.json"

    @property
    def intervals_file(self) -> Path:
        """The table of intervals over the validation images as JSON, with CSV and Markdown beside it."""
        return self.path / "evaluation" / "intervals.json"

    @property
    def image_counts_file(self) -> Path:
        """The counts of every row of the result table by validation image and class."""
        return self.path / "evaluation" / "image-counts.npz"

    @property
    def neighbours_file(self) -> Path:
        """The table of unseen classes and their nearest seen classes as JSON, with CSV and Markdown beside it."""
        return self.path / "evaluation" / "neighbours.json"

    @property
    def clip_weights_file(self) -> Path:
        """CLIP's exponents by row, where they were tuned."""
        return self.path / "evaluation" / "clip-weights.json"

    @property
    def examples_file(self) -> Path:
        """A picture of a few validation images, their labels and their predictions."""
        return self.path / "evaluation" / "examples.png"

    # several seeds
    @property
    def seeds(self) -> Path:
        """The folder of one run folder for each seed, with the tables of their means."""
        return self.path / SEEDS

    def of_seed(self, seed: int) -> RunDir:
        """The run folder of one of several seeds."""
        return RunDir(self.seeds / str(seed))

    # report
    @property
    def survey_file(self) -> Path:
        """A report's data from the validation images: confusions of classes, and query embeddings."""
        return self.path / "report" / "look.safetensors"

    @property
    def report_file(self) -> Path:
        """The HTML report on this run."""
        return self.path / "report.html"

    # visualization
    def visualization_file(self, stem: str, suffix: str) -> Path:
        """A grid of images, labels and predictions."""
        return self.path / "visualization" / f"{stem}{suffix}"

    def folder(self, stage: str) -> Path:
        """The folder of ``stage``, created if necessary.

        Raises:
            ScasegError: the run folder cannot be written, or `check_links` refuses the folder.
        """
        self.check_links(stage)
        folder = self.path / stage
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ScasegError(
                f"the run folder {self.path} cannot be created: {error.strerror}", "Choose another with --work-dir."
            ) from error
        if not os.access(folder, os.W_OK):
            raise ScasegError(f"the run folder {folder} cannot be written", "Choose another with --work-dir.")
        return folder

    def check_links(self, stage: str) -> None:
        """Check that neither the folder of ``stage`` nor a folder in it is a link.

        What is in such a folder is replaced and deleted, and a link would lead to files that are not the run's.

        Raises:
            ScasegError: one of them is a link.
        """
        folder = self.path / stage
        places = [folder]
        if folder.is_dir() and not folder.is_symlink():
            with os.scandir(folder) as entries:
                places += [folder / entry.name for entry in entries if entry.is_symlink() and entry.is_dir()]
        for place in places:
            if place.is_symlink():
                raise ScasegError(
                    f"{place} is a link to {os.readlink(place)}, and scaseg would delete and write files there",
                    "Remove the link. The run folder itself may be a link, and --work-dir may name any folder.",
                )

    def record_file(self, stage: str) -> Path:
        """The file of the record of ``stage``."""
        return self.path / stage / _RECORD

    def record(self, stage: str) -> dict[str, Any] | None:
        """The record of ``stage``, or None if it has not finished.

        Raises:
            ScasegError: the record is damaged.
        """
        return self.record_in(self.path / stage, stage)

    def record_in(self, folder: Path, stage: str) -> dict[str, Any] | None:
        """The record of ``stage`` in ``folder``, which is the stage's or one in which its result is kept.

        Raises:
            ScasegError: the record is damaged.
        """
        path = folder / _RECORD
        if not path.is_file():
            return None
        again = f"Delete it; the {stage} stage then counts as not done."
        content: dict[str, Any] = read_json(path, "the stage's record", again)
        for name in of_kind(content, Record, f"the stage's record {path}", again)["outputs"]:
            inside(self.path, name, f"the stage's record {path}")
        return content

    def write_record(self, stage: str, content: dict[str, Any]) -> None:
        """Write the record that marks ``stage`` as finished, atomically."""
        write_json(self.record_file(stage), content)

    def begun_file(self, stage: str) -> Path:
        """The file that says for which key ``stage`` has begun; it is there until the stage ends."""
        return self.path / stage / BEGUN

    def write_begun(self, stage: str, key: str, sections: dict[str, Any]) -> None:
        """Note that ``stage`` begins, for ``key`` and the recipe's ``sections``."""
        write_json(self.begun_file(stage), Begun(key=key, recipe=sections))
