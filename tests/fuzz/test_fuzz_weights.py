"""Weight files of every kind that are odd in a few places."""

from __future__ import annotations

import json
import struct
import zipfile
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from cases import assert_succeeds_or_explains, cases
from hypothesis import given
from hypothesis import strategies as st
from mutations import ODD, as_json, mutated, mutated_bytes
from safetensors.torch import save
from torch import nn

from scaseg_cli.checkpoints import load_module, load_state, load_tensors, read_state_dict
from scaseg_cli.clip.weights import read_weights
from scaseg_cli.errors import ScasegError

STATE = {"weight": torch.arange(6.0).view(2, 3), "bias": torch.ones(2)}


@cache
def _files() -> dict[str, bytes]:
    """A valid file of each kind."""
    meta = {"scaseg": json.dumps({"kind": "base model", "names": ["a", "b"], "step": 3})}
    progress, script = BytesIO(), BytesIO()
    torch.save({"key": "k", "iteration": 4, "network": STATE, "optimizer": {"state": {0: {"step": 1}}}}, progress)
    torch.jit.save(torch.jit.script(nn.Sequential(nn.Linear(3, 2), nn.ReLU())), script)
    return {"safetensors": save(STATE, meta), "progress": progress.getvalue(), "script": script.getvalue()}


ODD_TENSORS = (
    torch.zeros(0), torch.tensor(1.0), torch.ones(2, 3, dtype=torch.complex64), torch.full((2,), torch.nan),
    torch.tensor([torch.inf]), torch.ones(2).to_sparse(), torch.ones(2, dtype=torch.int32), torch.zeros(1).expand(3, 2),
    torch.ones(2, device="meta"), torch.ones(2, dtype=torch.bfloat16), torch.ones(1, dtype=torch.float8_e5m2),
    nn.Parameter(torch.ones(2)),
)  # fmt: skip


def _safetensors(draw: Any) -> bytes:
    """Another header with its right length, or another length."""
    content = _files()["safetensors"]
    (length,) = struct.unpack("<Q", content[:8])
    header = as_json(draw(mutated(json.loads(content[8 : 8 + length])))).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def _pytorch(draw: Any) -> bytes:
    """An object with odd keys, values or tensors, as torch.save writes it."""
    state: Any = {"state_dict": dict(STATE)} if draw(st.booleans()) else dict(STATE)
    inner = state.get("state_dict", state)
    key = draw(st.sampled_from([*(odd for odd in ODD if isinstance(odd, str | int)), None, ("a", 1), "weight", "key"]))
    inner[key] = draw(st.sampled_from([*ODD_TENSORS, *ODD, {"weight": torch.ones(1)}]))
    if draw(st.booleans()):
        inner.pop("bias")
    file = BytesIO()
    torch.save(draw(st.sampled_from([state, [state], state, inner.get("weight"), {"key": "k", **state}])), file)
    return file.getvalue()


def _script(draw: Any) -> bytes:
    """An archive with one changed record, whose checksum is right; scaseg's own reader takes it."""
    old, new = BytesIO(_files()["script"]), BytesIO()
    with zipfile.ZipFile(old) as file:
        records = {name: file.read(name) for name in file.namelist()}
    changed = draw(st.sampled_from(sorted(name for name in records if not name.endswith("constants.pkl"))))
    with zipfile.ZipFile(new, "w") as file:
        for name, content in records.items():
            file.writestr(name, draw(mutated_bytes(content)) if name == changed else content)
    return new.getvalue()


def _damaged(draw: Any) -> bytes:
    return draw(mutated_bytes(_files()[draw(st.sampled_from(sorted(_files())))]))


MAKERS = {"safetensors": _safetensors, "pt": _pytorch, "script": _script, "damaged": _damaged}


@given(data=st.data())
@cases()
def test_weights(data: Any) -> None:
    suffix = data.draw(st.sampled_from([".pt", ".safetensors", ".bin"]))
    path = Path(f"weights{suffix}")
    path.write_bytes(MAKERS[data.draw(st.sampled_from(sorted(MAKERS)))](data.draw))

    def read_all() -> None:
        refusals = []
        for read in (
            lambda: load_module(nn.Linear(3, 2), read_state_dict(path, "Remedy."), path, "Remedy."),
            lambda: read_weights(path),
            lambda: load_tensors(path, "base model", "Remedy."),
            lambda: load_state(path, "k"),
        ):
            try:
                read()
            except ScasegError as error:
                refusals.append(error)
        if refusals:
            raise refusals[0]

    assert_succeeds_or_explains("weights", read_all)
