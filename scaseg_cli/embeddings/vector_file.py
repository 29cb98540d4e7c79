"""A file of name vectors: safetensors or npz with one vector per name, or the text form of GloVe and word2vec."""

from __future__ import annotations

import difflib
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch.nn import functional as F

from scaseg_cli.checkpoints import first_line, shown
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import hash_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

_REMEDY = "Set a file that maps each class name to one vector: --set embeddings.vectors=FILE"
_SMALLEST, _LARGEST = 1e-9, 1e150  # lengths of vectors that are taken as they are
_DIGITS = 9  # of a width that is read
_SHOWN = 5  # names in an error
# What the readers raise for damaged, encrypted or other content.
_READING = (SafetensorError, OSError, ValueError, TypeError, RuntimeError, EOFError, zlib.error, zipfile.BadZipFile)


class VectorFile:
    """Looks class names up in a file; a `TextEncoder` whose texts are names.

    In the text form, a name of several words that the file lacks gets the mean of its words' unit vectors, as is usual
    for word vectors. Capital letters do not matter where the file has no such name.

    Attributes:
        dim: the width of the vectors.
        name: the file in messages.
        fingerprint: SHA-256 of the file.
    """

    def __init__(self, path: Path) -> None:
        """Open the file; its vectors are read when they are asked for.

        Raises:
            ScasegError: it is missing, or of none of the three forms.
        """
        if not path.is_file():
            missing = "is a folder" if path.is_dir() else "does not exist"
            raise ScasegError(f"embeddings.vectors {path} {missing}", _REMEDY)
        self.path, self.name = path, path.name
        self.fingerprint = hash_file(path)
        self._is_npz = path.suffix.lower() == ".npz"
        self._words = not self._is_npz and path.suffix.lower() != ".safetensors"
        self._names: dict[str, str] = {}
        if self._words:
            self.dim = _width_of_text(path)
            return
        names = self._listed()
        if not names:
            raise ScasegError(f"{path} has no vectors", _REMEDY)
        self._names = {name.lower(): name for name in reversed(names)}
        self._names.update({name: name for name in names})
        self.dim = len(self._read([names[0]])[names[0]])

    def encode_text(self, texts: list[str]) -> Tensor:
        """Look ``texts`` up; returns unit vectors, float32 [n, C].

        Raises:
            ScasegError: the file lacks a name, or a vector has another width, is zero, or is infinite or NaN.
        """
        if self._words:
            return self._of_words(texts)
        missing = [text for text in texts if self._key(text) is None]
        if missing:
            raise self._lacks(missing, list(dict.fromkeys(self._names.values())))
        found = self._read({key for text in texts if (key := self._key(text)) is not None})
        return torch.stack([self._unit(text, found[key]) for text in texts if (key := self._key(text)) is not None])

    def _key(self, text: str) -> str | None:
        return self._names.get(text, self._names.get(text.lower()))

    def _of_words(self, texts: list[str]) -> Tensor:
        parts = {text: [text, text.replace(" ", "_"), *text.split()] for text in texts}
        wanted = {form for names in parts.values() for name in names for form in (name, name.lower())}
        found = dict(_lines_of_text(self.path, self.dim, wanted))

        def of(name: str) -> Tensor | None:
            vector = found.get(name, found.get(name.lower()))
            return None if vector is None else self._unit(name, vector)

        vectors, missing = [], []
        for text in texts:
            whole = next((v for name in parts[text][:2] if (v := of(name)) is not None), None)
            words = [of(word) for word in text.split()]
            if whole is not None:
                vectors.append(whole)
            elif words and all(word is not None for word in words):
                vectors.append(F.normalize(torch.stack([word for word in words if word is not None]).mean(0), dim=0))
            else:
                missing.append(text)
        if missing:
            raise self._lacks(missing, [])
        return torch.stack(vectors)

    def _unit(self, name: str, vector: Tensor) -> Tensor:
        where = f"{self.path}: the vector of {shown(name)}"
        if len(vector) != self.dim:
            raise ScasegError(f"{where} has {len(vector)} numbers, and another has {self.dim}", _REMEDY)
        if not bool(vector.isfinite().all()):
            raise ScasegError(f"{where} has infinite or NaN values", _REMEDY)
        if not bool(vector.any()):
            raise ScasegError(f"{where} is zero", _REMEDY)
        if not _SMALLEST < vector.norm() < _LARGEST:  # whose squares are too small or too large for a sum
            vector = vector / vector.abs().max()
        return F.normalize(vector, dim=0).float()

    def _lacks(self, missing: list[str], known: list[str]) -> ScasegError:
        listed = ", ".join(repr(name) for name in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        near = difflib.get_close_matches(missing[0], known, n=1)
        guess = f"It has {near[0]!r}. " if near else ""
        return ScasegError(
            f"{self.path} has no vector for {listed}{more}",
            f"{guess}Add the names to the file. With embeddings.names=raw they are looked up as the data writes them.",
        )

    def _listed(self) -> list[str]:
        try:
            if self._is_npz:
                if not zipfile.is_zipfile(self.path):
                    raise ValueError("it is no npz archive, or truncated")
                with np.load(self.path, allow_pickle=False) as arrays:
                    return list(arrays.files)
            with safe_open(str(self.path), framework="pt") as tensors:
                return list(tensors.keys())
        except _READING as error:
            raise self._damaged(error) from error

    def _read(self, names: Iterable[str]) -> dict[str, Tensor]:
        try:
            if self._is_npz:
                with np.load(self.path, allow_pickle=False) as arrays:
                    found = {name: torch.from_numpy(_as_float(arrays[name])) for name in names}
            else:
                with safe_open(str(self.path), framework="pt") as tensors:
                    found = {name: tensors.get_tensor(name) for name in names}
        except _READING as error:
            raise self._damaged(error) from error
        for name, vector in found.items():
            if vector.ndim != 1 or vector.is_complex():
                kind = "complex numbers" if vector.is_complex() else f"the shape {list(vector.shape)}"
                raise ScasegError(f"{self.path}: the vector of {shown(name)} has {kind}, not a row of numbers", _REMEDY)
        return {name: vector.double() for name, vector in found.items()}

    def _damaged(self, error: Exception) -> ScasegError:
        return ScasegError(f"{self.path} cannot be read as vectors: {first_line(error)}", _REMEDY)


def read_vectors(path: str) -> VectorFile:
    """Open the file that ``embeddings.vectors`` names; see `VectorFile`."""
    return VectorFile(Path(path))


def _width_of_text(path: Path) -> int:
    """The width of a text file's vectors, from its first line: word2vec states it, GloVe has the first vector."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            first = file.readline(1 << 20).split()
            second = file.readline(1 << 20).split()
    except (OSError, UnicodeDecodeError) as error:
        raise ScasegError(f"{path} cannot be read as text: {error}", _REMEDY) from error
    if len(first) == 2 and all(part.isdecimal() for part in first) and len(second) > 2:
        if len(first[1]) > _DIGITS or not int(first[1]) < len(second):
            stated = f"{path}, line 1 states {first[1][:20]} numbers a word, and line 2 has {len(second) - 1}"
            raise ScasegError(stated, _REMEDY)
        return int(first[1])
    numbers = 0
    for part in reversed(first[1:]):
        if not _is_number(part):
            break
        numbers += 1
    if not numbers:
        raise ScasegError(f"{path}, line 1 is not a word and its vector: {' '.join(first)[:60]!r}", _REMEDY)
    return numbers


def _lines_of_text(path: Path, dim: int, wanted: set[str]) -> Iterator[tuple[str, Tensor]]:
    """The wanted words of a text file and their vectors; the first of several lines of a word counts."""
    left = set(wanted)
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            word, *values = line.rstrip().rsplit(None, dim) or [""]
            if word not in left:
                continue
            try:
                vector = torch.tensor([float(value) for value in values], dtype=torch.float64)
            except ValueError as error:
                raise ScasegError(f"{path}, line {number}: the vector of {shown(word)}: {error}", _REMEDY) from error
            left.discard(word)
            yield word, vector
            if not left:
                return  # the files have gigabytes


def _as_float(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype.kind in "biuf" else array


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
