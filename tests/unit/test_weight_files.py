"""Weight files with odd keys and values: each is an error that names the file and the key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from scaseg_cli.base.backbone_weights import read_backbone
from scaseg_cli.base.network import load_backbone
from scaseg_cli.checkpoints import (
    NotFiniteError,
    load_module,
    load_state,
    load_tensors,
    not_finite,
    read_state_dict,
    resuming,
    save_state,
    save_tensors,
)
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = torch.ones(2)
NAN, INFINITE = torch.tensor([1.0, torch.nan]), torch.tensor([torch.inf])
CONTENTS: dict[str, tuple[Any, str]] = {
    "nothing": ({}, "holds no state dict.* but an empty dict"),
    "a tensor": (GOOD, "holds no state dict.* but a Tensor"),
    "a number": (5, "holds no state dict.* but a int"),
    "a key that is a number": ({"a": GOOD, 7: GOOD}, "its key 7 is not a name"),
    "a key that is a pair": ({("a", 1): GOOD}, r"its key \('a', 1\) is not a name"),
    "a nested checkpoint": ({"model": {"a": GOOD}}, "model is a dict, not a tensor"),
    "a number under a name": ({"a": GOOD, "epoch": 3}, "epoch is a int, not a tensor"),
    "nothing under a name": ({"a": None}, "a is a NoneType, not a tensor"),
    "an escape in a name": ({"a": GOOD, "\x1b[31mb\n": 3}, r"'\\x1b\[31mb\\n' is a int"),
    "a long name": ({"a" * 5000: 3}, r"a{77}\.\.\. is a int"),
    "NaN": ({"a": GOOD, "b.weight": NAN}, r"infinite or NaN values in b\.weight"),
    "infinity": ({"a": GOOD, "b.weight": INFINITE.half()}, r"infinite or NaN values in b\.weight"),
    "complex numbers": ({"a": torch.ones(2, dtype=torch.complex64)}, r"not of dense real numbers: a \(complex64"),
    "eight bits": ({"a": torch.ones(2).to(torch.float8_e4m3fn)}, r"not of dense real numbers: a \(float8_e4m3fn"),
    "a sparse tensor": ({"a": torch.eye(2).to_sparse()}, r"not of dense real numbers: a \(float32, sparse_coo"),
    "no values": ({"a": torch.ones(2, device="meta")}, r"not of dense real numbers: a \(float32, strided, meta"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTENTS)
def test_an_odd_checkpoint_is_refused(name: str, tmp_path: Path) -> None:
    content, said = CONTENTS[name]
    for place in (content, {"state_dict": content} if isinstance(content, dict) else content):
        torch.save(place, tmp_path / "odd.pt")
        with pytest.raises(ScasegError, match=rf"odd\.pt .*{said}") as caught:
            read_state_dict(tmp_path / "odd.pt", "the hint")
        assert caught.value.message.isprintable()
        assert caught.value.hint == "the hint"


def test_safetensors_of_odd_types_are_refused(tmp_path: Path) -> None:
    save_file({"a": GOOD, "b": NAN}, tmp_path / "nan.safetensors")
    save_file({"a": torch.ones(2, dtype=torch.complex64)}, tmp_path / "complex.safetensors")
    with pytest.raises(ScasegError, match=r"nan\.safetensors has infinite or NaN values in b"):
        read_state_dict(tmp_path / "nan.safetensors", "")
    with pytest.raises(ScasegError, match=r"complex\.safetensors .*not of dense real numbers: a \(complex64"):
        read_state_dict(tmp_path / "complex.safetensors", "")


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"weight": torch.ones(3, 2)}, "lacks bias"),
        ({"weight": torch.ones(3, 2), "bias": torch.ones(0)}, "has other shapes for bias"),
        ({"weight": torch.ones(3, 2), "bias": torch.ones(3), "\x1b[2J": GOOD}, r"has unexpected '\\x1b\[2J'"),
        ({"weight": torch.ones(3, 2, dtype=torch.long), "bias": torch.ones(3)}, "has integers instead of .* weight"),
    ],
)
def test_tensors_that_do_not_fit_a_module_are_named(
    tensors: dict[str, torch.Tensor], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ScasegError, match=said) as caught:
        load_module(nn.Linear(2, 3), tensors, tmp_path / "odd.pt", "")
    assert caught.value.message.isprintable()


def test_a_backbone_with_an_odd_value_is_refused(tmp_path: Path) -> None:
    torch.save({"conv1.weight": NAN}, tmp_path / "odd.pth")
    with pytest.raises(ScasegError, match=r"odd\.pth has infinite or NaN values in conv1\.weight"):
        read_backbone(str(tmp_path / "odd.pth"))
    torch.save({"0.weight": torch.ones(1, 2, dtype=torch.int8), "0.bias": torch.ones(1)}, tmp_path / "odd.pth")
    with pytest.raises(ScasegError, match=r"has integers instead of floating-point values for 0\.weight"):
        load_backbone(nn.Sequential(nn.Linear(2, 1)), str(tmp_path / "odd.pth"))


def _tampered(path: Path, header: object, tensor: torch.Tensor = GOOD) -> Path:
    save_file({"a.weight": tensor}, path, {"scaseg": header if isinstance(header, str) else json.dumps(header)})
    return path


@pytest.mark.parametrize("header", [[], "5", '"base"', {"kind": ["base"]}, {"kind": {}}, {"kind": None}, {}])
def test_a_header_of_another_form_is_another_kind(header: object, tmp_path: Path) -> None:
    with pytest.raises(ScasegError, match=r"odd\.safetensors holds .*, not base"):
        load_tensors(_tampered(tmp_path / "odd.safetensors", header), "base", "")


@pytest.mark.parametrize("header", ["{", "nothing"])
def test_a_header_that_is_no_json_is_damaged(header: str, tmp_path: Path) -> None:
    with pytest.raises(ScasegError, match="is damaged or truncated"):
        load_tensors(_tampered(tmp_path / "odd.safetensors", header), "base", "")


@pytest.mark.parametrize("tensor", [NAN, INFINITE, INFINITE.half(), -INFINITE.double()])
def test_results_are_finite_when_read_and_when_written(tensor: torch.Tensor, tmp_path: Path) -> None:
    path = _tampered(tmp_path / "odd.safetensors", {"kind": "base"}, tensor)
    with pytest.raises(ScasegError, match=r"odd\.safetensors has infinite or NaN values in a\.weight"):
        load_tensors(path, "base", "")
    before = path.read_bytes()
    with pytest.raises(NotFiniteError, match=r"odd\.safetensors was not written: b has infinite or NaN values"):
        save_tensors(path, "base", {"a": GOOD, "b": tensor})
    assert path.read_bytes() == before
    state = {"key": "k", "optimizer": {"state": {0: {"exp_avg": GOOD}, 1: {"exp_avg": tensor}}}}
    save_state(tmp_path / "progress.pt", {"key": "k"})
    saved = (tmp_path / "progress.pt").read_bytes()
    with pytest.raises(NotFiniteError, match=r"optimizer\.state\.1\.exp_avg has infinite or NaN"):
        save_state(tmp_path / "progress.pt", state)
    assert (tmp_path / "progress.pt").read_bytes() == saved
    torch.save(state, tmp_path / "progress.pt")
    with pytest.raises(ScasegError, match=r"progress\.pt has infinite or NaN values in optimizer\.state\.1\.exp_avg"):
        load_state(tmp_path / "progress.pt", "k")
    assert list(tmp_path.glob(".*")) == []


def test_integers_are_always_finite_and_a_list_may_hold_itself() -> None:
    circle: list[Any] = [torch.tensor([2**62]), torch.ones(0)]
    circle.append(circle)
    assert not_finite({"a": circle, "b": True}) is None
    assert not_finite({"b": circle, "c": [GOOD, NAN]}) == "c.1"


@pytest.mark.parametrize("state", [[1, 2], 5, {}, {"key": 5}, {"key": torch.ones(3)}, {"key": "other"}])
def test_progress_of_another_form_is_no_progress(state: Any, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "progress.pt")
    assert load_state(tmp_path / "progress.pt", "k") is None


@pytest.mark.parametrize(
    "taking",
    [
        lambda state: state["network"],
        lambda state: int(state["words"]),
        lambda state: nn.Linear(2, 2).load_state_dict({"weight": torch.ones(len(state))}),
        lambda state: state["list"][3],
        lambda state: state["words"].items(),
    ],
)
def test_progress_that_does_not_fit_is_named(taking: Callable[[dict[str, Any]], object], tmp_path: Path) -> None:
    wanted = pytest.raises(ScasegError, match=r"p\.pt does not hold the progress of this training")
    with wanted as caught, resuming(tmp_path / "p.pt"):
        taking({"words": "words", "list": [1]})
    assert "Delete it" in str(caught.value.hint)
    assert "\n" not in caught.value.message
