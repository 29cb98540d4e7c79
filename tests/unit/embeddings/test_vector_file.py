"""Files of name vectors: the three forms, and what each error says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from scaseg_cli.embeddings import embed_classes, load_embeddings
from scaseg_cli.embeddings.vector_file import VectorFile
from scaseg_cli.errors import ScasegError
from scaseg_cli.prediction.vocabulary import NameVectors, vocabulary_of
from scaseg_cli.recipe import load_recipe

if TYPE_CHECKING:
    from pathlib import Path

VECTORS = {"red ring": [3.0, 4.0, 0.0], "Zebra": [0.0, 0.0, 2.0], "blue cross": [1.0, 0.0, 0.0]}
OFF = "base.v2c.enabled=false"


def _written(folder: Path, ending: str, vectors: dict[str, list[float]] = VECTORS) -> VectorFile:
    path = folder / f"names{ending}"
    if ending == ".safetensors":
        save_file({name: torch.tensor(vector) for name, vector in vectors.items()}, str(path))
    elif ending == ".npz":
        np.savez(path, **{name: np.array(vector, np.float16) for name, vector in vectors.items()})
    else:
        lines = [" ".join([name.replace(" ", "_"), *map(str, vector)]) for name, vector in vectors.items()]
        path.write_text("\n".join(lines) + "\n")
    return VectorFile(path)


@pytest.mark.parametrize("ending", [".safetensors", ".npz", ".txt"])
def test_names_get_their_vectors_at_unit_length_in_any_order(ending: str, tmp_path: Path) -> None:
    file = _written(tmp_path, ending)
    found = file.encode_text(["zebra" if ending != ".txt" else "Zebra", "red ring"])
    assert torch.allclose(found, torch.tensor([[0.0, 0.0, 1.0], [0.6, 0.8, 0.0]]))
    assert (found.dtype, file.dim) == (torch.float32, 3)
    again = _written(tmp_path, ending, dict(reversed(VECTORS.items()))).encode_text(["Zebra", "red ring"])
    assert torch.equal(found, again)


def test_words_without_a_vector_of_their_own_are_means_in_the_text_form(tmp_path: Path) -> None:
    file = _written(tmp_path, ".txt", {"red": [2.0, 0.0], "ring": [0.0, 5.0]})
    assert torch.allclose(file.encode_text(["red ring"]), torch.full((1, 2), 0.5**0.5))
    assert torch.allclose(file.encode_text(["RING"]), torch.tensor([[0.0, 1.0]]))
    with pytest.raises(ScasegError, match="has no vector for 'red cross'"):
        file.encode_text(["red ring", "red cross"])


def test_word2vecs_text_form_has_a_line_before(tmp_path: Path) -> None:
    (tmp_path / "w2v.vec").write_text("2 3\nred 1 0 0\n7 0 3 0\n")
    file = VectorFile(tmp_path / "w2v.vec")
    assert torch.equal(file.encode_text(["7", "red"]), torch.tensor([[0.0, 1, 0], [1, 0, 0]]))


def test_a_word_with_a_blank_has_its_own_vector(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_text("red 1 0\n. . 0 1\n")
    assert torch.equal(VectorFile(tmp_path / "glove.txt").encode_text([". ."]), torch.tensor([[0.0, 1.0]]))


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
@pytest.mark.parametrize(
    ("vector", "said"),
    [
        ([1.0, 2.0], "the vector of red ring has 2 numbers, and another has 3"),
        ([float("nan"), 1.0, 1.0], "the vector of red ring has infinite or NaN values"),
        ([0.0, 0.0, 0.0], "the vector of red ring is zero"),
    ],
)
def test_a_bad_vector_is_named(ending: str, vector: list[float], said: str, tmp_path: Path) -> None:
    file = _written(tmp_path, ending, {"a": [1.0, 1, 1], "red ring": vector})
    with pytest.raises(ScasegError, match=re.escape(said)):
        file.encode_text(["a", "red ring"])


def test_a_missing_name_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ScasegError, match=r"has no vector for 'red rings', 'lamp'\nIt has 'red ring'\."):
        _written(tmp_path, ".npz").encode_text(["red rings", "Zebra", "lamp"])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.npz", None, "does not exist"),
        ("bad.npz", b"PK no", "cannot be read as vectors"),
        ("bad.safetensors", b"\x00" * 20, "cannot be read as vectors"),
        ("bad.txt", b"only words here\n", "line 1 is not a word and its vector"),
        ("bad.txt", b"a 1 2\nred 1 x\n", "line 2: the vector of red: could not convert"),
        (
            "bad.txt",
            b"22 99999999999999999999\nred 1 2\n",
            "line 1 states 99999999999999999999 numbers a word, and line 2",
        ),
        ("bad.txt", b"2 " + b"9" * 5000 + b"\nred 1 2\n", "line 1 states 9{20} numbers a word"),
        ("empty.npz", b"", "it is no npz archive, or truncated"),
        ("text.npz", b"red 1 2\n", "it is no npz archive, or truncated"),
        ("bad.txt", b"\xff\xfe\x00", "cannot be read as text"),
        ("empty.npz", "empty", "has no vectors"),
    ],
)
def test_a_file_that_does_not_serve_is_refused(name: str, content: bytes | str | None, said: str, tmp_path) -> None:
    path = tmp_path / name
    if content == "empty":
        np.savez(path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ScasegError, match=said):
        VectorFile(path).encode_text(["red"])


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (torch.tensor(1.0), r"the vector of red has the shape \[\], not a row of numbers"),
        (torch.ones(1, 3), r"the vector of red has the shape \[1, 3\], not a row of numbers"),
        (torch.ones(3, dtype=torch.complex64), "the vector of red has complex numbers"),
    ],
)
def test_what_is_no_row_of_numbers_is_refused(ending: str, tensor: torch.Tensor, said: str, tmp_path: Path) -> None:
    path = tmp_path / f"names{ending}"
    if ending == ".npz":
        np.savez(path, red=tensor.numpy())
    else:
        save_file({"red": tensor}, str(path))
    with pytest.raises(ScasegError, match=said):
        VectorFile(path)


def test_an_array_that_is_named_as_an_archive_is_refused(tmp_path: Path) -> None:
    with open(tmp_path / "names.npz", "wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(ScasegError, match="it is no npz archive"):
        VectorFile(tmp_path / "names.npz")
    with pytest.raises(ScasegError, match="is a folder"):
        VectorFile(tmp_path)


@pytest.mark.parametrize("length", [1e-300, 1e-20, 1.0, 1e200])
def test_a_vector_of_any_length_gets_unit_length(length: float, tmp_path: Path) -> None:
    np.savez(tmp_path / "names.NPZ.npz", red=np.array([3.0, 4.0]) * length)
    path = (tmp_path / "names.NPZ.npz").rename(tmp_path / "names.NPZ")
    assert torch.allclose(VectorFile(path).encode_text(["red"]), torch.tensor([[0.6, 0.8]]))


def test_a_text_file_may_have_a_mark_of_its_encoding_tabs_and_more_blanks(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(b"\xef\xbb\xbfred\t1\t0\nblue  0   1 \n")
    assert torch.equal(VectorFile(tmp_path / "names.txt").encode_text(["red", "blue"]), torch.eye(2))


def test_the_stage_takes_a_file_and_predict_asks_it_for_new_names(recipe, run, classes, tmp_path: Path) -> None:
    random = torch.Generator().manual_seed(0)
    named = {name: torch.randn(5, generator=random).tolist() for name in [*classes.names, "street lamp"]}
    path = _written(tmp_path, ".npz", named).path
    recipe = load_recipe("shapes-zps", (OFF, f"embeddings.vectors={path}"))
    row = embed_classes(recipe, run).tables[0].rows[0]
    assert (row["model"], row["checkpoint"], row["num_templates"], row["dim"]) == ("vectors", str(path), 1, 5)
    stored = load_embeddings(recipe, run)
    assert torch.allclose(stored.vectors_NC, VectorFile(path).encode_text(classes.names), atol=1e-6)
    with pytest.raises(ScasegError, match=r"was made by vectors with .*, and the recipe has shapes-clip"):
        load_embeddings(load_recipe("shapes-zps"), run)
    vectors = NameVectors(recipe, run)
    found, _ = vectors.of(vocabulary_of(run, (["street lamp"], [])))
    assert torch.allclose(found, VectorFile(path).encode_text(["street lamp"]), atol=1e-6)
    with pytest.raises(ScasegError, match="has no vector for 'zebra'"):
        vectors.of(vocabulary_of(run, (["zebra"], [])))


@pytest.mark.parametrize("change", ["embeddings.vectors=names.npz", "embeddings.encoder=sentence:minilm"])
def test_v2c_needs_clips_own_embeddings(change: str) -> None:
    with pytest.raises(ScasegError, match=r"base\.v2c needs CLIP's class embeddings"):
        load_recipe("shapes-zps", (change,))


def test_an_encoder_of_another_form_is_refused() -> None:
    with pytest.raises(ScasegError, match=r"embeddings\.encoder"):
        load_recipe("shapes-zps", (OFF, "embeddings.encoder=minilm"))
