"""TorchScript archives are data: equal to what torch.jit.load gives, and nothing that they name is called."""

from __future__ import annotations

import contextlib
import io
import pickle
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from scaseg_cli.clip import load_clip
from scaseg_cli.clip import torchscript as reader
from scaseg_cli.clip.torchscript import UnsafeArchiveError, read_torchscript
from scaseg_cli.clip.weights import read_weights
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe.schema import Clip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Edit = tuple[bytes, bytes]


class _Many(nn.Module):
    """Parameters and buffers of every kind that an archive can hold, and attributes that are no weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 2).half()
        self.norm = nn.BatchNorm2d(4)
        self.layers = nn.Sequential(nn.Linear(3, 3), nn.GELU(), nn.Linear(3, 3, bias=False))
        self.layers[2].weight = self.layers[0].weight
        self.shared = self.layers[0]
        self.attention = nn.MultiheadAttention(8, 2)
        self.wide = nn.Linear(2, 2).double()
        self.register_parameter("missing", None)
        self.scale = nn.Parameter(torch.tensor(1.5))
        base = torch.arange(24.0)
        self.register_buffer("view", base.view(4, 6)[1:3])
        self.register_buffer("strided", base.view(4, 6).t()[1:])
        self.register_buffer("unsaved", torch.ones(2), persistent=False)
        self.register_buffer("nothing", torch.zeros(0, 3))
        self.register_buffer("flags", torch.tensor([True, False]))
        self.register_buffer("brain", torch.ones(3, dtype=torch.bfloat16))
        self.register_buffer("bytes", torch.arange(5, dtype=torch.uint8))
        self.register_buffer("small", torch.tensor([-3, 4], dtype=torch.int8))
        self.number, self.sizes, self.names, self.word = 3, [1, 2], {"a": 1.0}, "x"
        self.plain = torch.zeros(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def _scripted(path: Path) -> None:
    torch.manual_seed(0)
    torch.jit.script(_Many().eval()).save(str(path))


def _traced(path: Path) -> None:
    torch.manual_seed(0)
    torch.jit.trace(_Many().eval(), torch.ones(1, 3, 4, 4).half()).save(str(path))


def _same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert list(found) == list(wanted)
    for name, tensor in wanted.items():
        own = found[name]
        assert (own.dtype, own.shape, own.stride()) == (tensor.dtype, tensor.shape, tensor.stride()), name
        assert torch.equal(own, tensor), name


@pytest.mark.parametrize("save", [_scripted, _traced])
def test_the_tensors_are_those_of_the_module(save: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "archive.pt"
    save(path)
    wanted = torch.jit.load(str(path)).state_dict()
    assert {"missing", "plain"}.isdisjoint(wanted)
    assert "shared.weight" in wanted
    found = read_torchscript(path)
    _same(found, wanted)
    names = ("layers.0.weight", "layers.2.weight", "shared.weight")
    assert len({found[name].data_ptr() for name in names}) == 1
    assert found["view"].untyped_storage().data_ptr() == found["strided"].untyped_storage().data_ptr()


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_a_whole_clip_comes_out_the_same(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    clip = request.getfixturevalue(kind)
    module, path = clip._module, tmp_path / "clip.pt"
    image, text = torch.zeros(1, 3, 32, 32), torch.zeros(1, 16, dtype=torch.long)
    torch.jit.trace(module, (image, text), check_trace=False).save(str(path))
    _same(read_torchscript(path), torch.jit.load(str(path)).state_dict())
    loaded = load_clip(Clip(model=f"tiny-{kind}", checkpoint=str(path)))
    for name, tensor in loaded._module.state_dict().items():
        assert torch.equal(tensor, module.state_dict()[name]), name


def _rewritten(path: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """Pass every record of an archive through ``change``, which returns its new content, or None to leave it out."""
    with zipfile.ZipFile(path) as file:
        records = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, content in records.items():
            if (new := change(name.partition("/")[2], content)) is not None:
                file.writestr(name, new)


def _small(path: Path) -> None:
    torch.jit.script(nn.Sequential(nn.Linear(2, 3))).save(str(path))


def _refused(path: Path) -> ScasegError:
    with pytest.raises(ScasegError) as caught:
        read_weights(path)
    assert path.name in caught.value.message
    assert "\n" not in caught.value.message
    return caught.value


class _Marker:
    """An object whose unpickling writes a file: what a weight file must not be able to do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


def test_a_file_that_would_act_does_not(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    acting = pickle.dumps({"weight": _Marker(marker)}, protocol=2)
    pickle.loads(acting)  # the file would act if it was unpickled
    marker.unlink()
    torch.save({"weight": _Marker(marker)}, tmp_path / "checkpoint.pt")
    (tmp_path / "pickle.pt").write_bytes(acting)
    (tmp_path / "named.safetensors").write_bytes(acting)
    _small(tmp_path / "archive.pt")
    _rewritten(tmp_path / "archive.pt", lambda name, content: acting if name == "data.pkl" else content)
    for name in ("checkpoint.pt", "pickle.pt", "named.safetensors", "archive.pt"):
        error = _refused(tmp_path / name)
        assert not marker.exists(), name
    assert "data.pkl names" in error.message
    assert "exec" in error.message
    assert "safetensors" in error.hint


def test_code_and_constants_of_an_archive_never_run(tmp_path: Path) -> None:
    """What is in them does not matter, except for the lists of parameters."""
    path, marker = tmp_path / "archive.pt", tmp_path / "marker"
    _small(path)
    wanted = read_torchscript(path)
    acting = pickle.dumps(_Marker(marker), protocol=2)

    def change(name: str, content: bytes) -> bytes:
        if name == "constants.pkl" or name.endswith(".debug_pkl"):
            return acting
        if name.startswith("code/"):
            return content + f"\nopen({str(marker)!r}, 'w').close()\n".encode()
        return content

    _rewritten(path, change)
    _same(read_torchscript(path), wanted)
    assert not marker.exists()


EDITS: dict[str, tuple[Edit, str]] = {
    "an opcode of others": ((b"\x80\x02c__torch__", b"\x80\x02cbuiltins\nlist\n0c__torch__"), "has the opcode POP"),
    "a class elsewhere": ((b"\x80\x02c__torch__.", b"\x80\x02c"), r"names torch\.nn\.modules\.container"),
    "nearly an own class": ((b"c__torch__.", b"c__torch__x."), "names __torch__x.torch.nn"),
    "another function": ((b"ctorch._utils\n_rebuild_tensor_v2\n", b"cos\nsystem\n"), "names os.system"),
    "a function of torch": ((b"_rebuild_tensor_v2", b"_rebuild_qtensor"), r"names torch\._utils\._rebuild_qtensor"),
    "complex numbers": ((b"\nFloatStorage\n", b"\nComplexFloatStorage\n"), r"not of real numbers: torch\.ComplexFlo"),
    "a larger shape": ((b"(K\x03K\x02t", b"(K\x03K\x03t"), r"shape \[3, 3\] does not fit its storage of 6"),
    "a wider stride": ((b"(K\x02K\x01t", b"(K\x03K\x01t"), r"shape \[3, 2\] does not fit its storage of 6"),
    "values that repeat": ((b"(K\x03K\x02t", b"(K\x7fK\x02t"), r"shape \[127, 2\] does not fit its storage"),
    "more values than bytes": ((b"K\x06t", b"K\x07t"), "storage 0 does not have the 28 bytes"),
    "another storage": ((b"X\x01\x00\x00\x000", b"X\x01\x00\x00\x009"), "it has no storage 9"),
    "a path as storage": ((b"X\x01\x00\x00\x000", b"X\x07\x00\x00\x00../../x"), r"it has no storage \.\./\.\./x"),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_what_torch_does_not_write_is_refused(name: str, tmp_path: Path) -> None:
    (old, new), said = EDITS[name]
    path = tmp_path / "archive.pt"
    _small(path)

    def change(record: str, content: bytes) -> bytes:
        if record != "data.pkl":
            return content
        assert old in content
        return content.replace(old, new)

    _rewritten(path, change)
    error = _refused(path)
    with pytest.raises(UnsafeArchiveError, match=said):
        read_torchscript(path)
    assert "is a TorchScript archive from which no tensors are read" in error.message
    assert "torch.jit.load(FILE).state_dict() with safetensors" in str(error.hint)


OBJECTS = {
    "a number": (5, "holds no module"),
    "a set": ({1}, "opcode|names"),
    "bytes": (b"abc", "names _codecs.encode|opcode"),
    "a date": (__import__("datetime").date(2020, 1, 1), "names datetime.date|names _codecs.encode"),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_other_pickles_are_refused(name: str, tmp_path: Path) -> None:
    value, said = OBJECTS[name]
    path = tmp_path / "archive.pt"
    _small(path)
    _rewritten(path, lambda record, content: pickle.dumps(value, 2) if record == "data.pkl" else content)
    _refused(path)
    with pytest.raises(UnsafeArchiveError, match=said):
        read_torchscript(path)


@pytest.mark.parametrize("lost", ["data.pkl", "data/0", "code/"])
def test_a_record_that_is_missing_is_named(lost: str, tmp_path: Path) -> None:
    path = tmp_path / "archive.pt"
    _small(path)
    _rewritten(path, lambda record, content: None if record.startswith(lost) else content)
    assert {"data/0": "it has no storage 0"}.get(lost, "it has no record ") in _refused(path).message


@pytest.mark.parametrize("at", range(1, 40, 3))
def test_a_pickle_that_ends_early_or_has_a_wrong_byte_is_read_or_refused(at: int, tmp_path: Path) -> None:
    path = tmp_path / "archive.pt"
    _small(path)
    with zipfile.ZipFile(path) as file:
        content = file.read(next(name for name in file.namelist() if name.endswith("/data.pkl")))
    place = len(content) * at // 40
    for other in (content[:place], content[:place] + bytes([content[place] ^ 0x2A]) + content[place + 1 :]):
        _rewritten(path, lambda record, old, new=other: new if record == "data.pkl" else old)
        with contextlib.suppress(ScasegError):  # a byte of a name that no list has changes nothing
            read_weights(path)


def test_an_archive_with_a_flipped_byte_of_its_weights_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "archive.pt"
    _small(path)
    weights = torch.jit.load(str(path)).state_dict()["0.weight"].numpy().tobytes()
    content = path.read_bytes()
    place = content.index(weights)
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    assert "cannot be read as weights; it is damaged" in _refused(path).message


class _Chain(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_limits_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "archive.pt"
    torch.jit.script(_Chain(_Chain(nn.Linear(2, 2)))).save(str(path))
    for name, just_enough in (("MAX_DEPTH", 2), ("MAX_NAMES", 5), ("MAX_NAME", len("inner.inner.weight"))):
        monkeypatch.setattr(reader, name, just_enough)
        read_torchscript(path)
        monkeypatch.setattr(reader, name, just_enough - 1)
        with pytest.raises(UnsafeArchiveError, match="contain each other too many times"):
            read_torchscript(path)
        monkeypatch.undo()
    monkeypatch.setattr(reader, "MAX_TEXT", 100)
    with pytest.raises(UnsafeArchiveError, match="have more than 100 bytes"):
        read_torchscript(path)


def test_storages_that_are_compressed_are_refused(tmp_path: Path) -> None:
    """A few bytes could otherwise stand for gigabytes."""
    path = tmp_path / "archive.pt"
    _small(path)
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as file, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in file.namelist():
            new.writestr(name, file.read(name))
    path.write_bytes(packed.getvalue())
    assert "storage 0 does not have the 24 bytes that it states" in _refused(path).message
