"""Reads the tensors of a TorchScript archive as data, without running or importing anything that the archive names.

An archive is a ZIP file. ``data.pkl`` is a pickle of the module tree, ``data/N`` has the bytes of storage N, and
``code/`` has text that lists the parameters and buffers of each module class. An unpickler would call what the pickle
names. This reader follows the pickle's opcodes instead: a class of the archive becomes a node with attributes, the few
functions that torch's own writer names are replaced by their meaning, and any other name is refused.
"""

from __future__ import annotations

import pickletools
import re
import sys
import zipfile
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from scaseg_cli.checkpoints import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_TEXT = 64 * 2**20  # bytes of data.pkl and of the code of all modules, unpacked
MAX_DEPTH = 64  # modules inside each other
MAX_NAMES = 100_000  # modules and tensors; a shared module counts at every place
MAX_NAME = 1000  # characters of a dotted name
_STORAGES = {
    "HalfStorage": torch.float16, "BFloat16Storage": torch.bfloat16, "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64, "CharStorage": torch.int8, "ShortStorage": torch.int16, "IntStorage": torch.int32,
    "LongStorage": torch.int64, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip
# Functions of torch.jit._pickle whose value is their first argument: they only say the type of a list or a dict.
_TYPED = {"build_intlist", "build_doublelist", "build_boollist", "build_tensorlist", "restore_type_tag"}
_NAMES = re.compile(r'  __(?:parameters|buffers)__ = \[((?:"[^"\\]*", )*)\]')


class UnsafeArchiveError(ValueError):
    """The archive holds something other than modules with dense tensors, or contradicts itself."""


class _Name(NamedTuple):
    """What the pickle names: a class or a function. It is never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return shown(f"{self.module}.{self.name}")


@dataclass(eq=False)
class _Node:
    """An object of a class of the archive: a module, or another object with attributes."""

    kind: _Name
    attributes: dict[Any, Any] = field(default_factory=dict)


class _Storage(NamedTuple):
    key: str
    dtype: torch.dtype
    numel: int


@dataclass(frozen=True)
class _View:
    """A tensor that is not read yet."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def is_torchscript(path: Path) -> bool:
    """Whether ``path`` is a ZIP file with the records of a TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as file:
        return any(name.endswith("/constants.pkl") for name in file.namelist())


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """The parameters and buffers of an archive by name, equal to the state dict of the module that it describes.

    Tensors that share a storage in the archive share it in the result.

    Raises:
        UnsafeArchiveError: the archive names anything but modules and tensors, or sizes that its records do not have.
        zipfile.BadZipFile, OSError, EOFError, ValueError: the file is damaged.
    """
    with zipfile.ZipFile(path) as file:
        archive = _Archive(file)
        root = _unpickled(archive.text("data.pkl", archive.root))
        if not isinstance(root, _Node):
            raise UnsafeArchiveError("data.pkl holds no module")
        return {name: archive.tensor(view) for name, view in _state(root, archive)}


class _Archive:
    """The records of an open archive; each storage is read once."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self.file = file
        self._text_left = MAX_TEXT
        self.root = next(name for name in file.namelist() if name.endswith("/constants.pkl"))[: -len("constants.pkl")]
        self._storages: dict[str, tuple[_Storage, Tensor]] = {}
        self._registered: dict[_Name, tuple[str, ...]] = {}
        order = self.text("byteorder", self.root) if self.root + "byteorder" in file.namelist() else b"little"
        if order.decode("ascii", "replace") != sys.byteorder:
            raise UnsafeArchiveError("its bytes are in the order of another kind of machine")

    def text(self, name: str, folder: str) -> bytes:
        """A small record.

        Raises:
            UnsafeArchiveError: there is none, or it is too large.
        """
        try:
            record = self.file.getinfo(folder + name)
        except KeyError:
            raise UnsafeArchiveError(f"it has no record {shown(name)}") from None
        self._text_left -= record.file_size
        if self._text_left < 0:
            raise UnsafeArchiveError(f"data.pkl and the code of its modules have more than {MAX_TEXT} bytes")
        return self.file.read(record)

    def registered(self, kind: _Name) -> tuple[str, ...]:
        """The parameters and buffers that the class ``kind`` lists in its text.

        Raises:
            UnsafeArchiveError: the archive has no text of such a module class.
        """
        if kind not in self._registered:
            text = self.text(f"{kind.module.replace('.', '/')}.py", f"{self.root}code/")
            self._registered[kind] = tuple(_listed(text.decode("utf-8", "replace"), kind))
        return self._registered[kind]

    def tensor(self, view: _View) -> Tensor:
        """The tensor of ``view``.

        Raises:
            UnsafeArchiveError: it reaches outside of its storage, or repeats values of it.
        """
        storage = self._storage(view.storage)
        dims, numel, count = len(view.size), view.storage.numel, prod(list(view.size))
        last = view.offset + sum((size - 1) * stride for size, stride in zip(view.size, view.stride, strict=True))
        if dims > 64 or count > numel or (count and last >= numel) or view.offset > numel:
            raise UnsafeArchiveError(
                f"a tensor of shape {shown(list(view.size))} does not fit its storage of {numel} values"
            )
        return storage.as_strided(view.size, view.stride, view.offset)

    def _storage(self, wanted: _Storage) -> Tensor:
        if wanted.key in self._storages:
            earlier, values = self._storages[wanted.key]
            if earlier != wanted:
                raise UnsafeArchiveError(f"its storage {shown(wanted.key)} has two types or sizes")
            return values
        name, size = f"{self.root}data/{wanted.key}", wanted.numel * wanted.dtype.itemsize
        try:
            record = self.file.getinfo(name)
        except KeyError:
            raise UnsafeArchiveError(f"it has no storage {shown(wanted.key)}") from None
        if record.file_size != size or record.compress_type != zipfile.ZIP_STORED:  # stored: no larger than the file
            raise UnsafeArchiveError(f"its storage {shown(wanted.key)} does not have the {size} bytes that it states")
        values = torch.empty(0, dtype=wanted.dtype)
        if content := bytearray(self.file.read(record)):
            values = torch.frombuffer(content, dtype=torch.uint8)
            if wanted.dtype == torch.bool and int(values.max()) > 1:
                raise UnsafeArchiveError(f"its storage {shown(wanted.key)} has truth values other than 0 and 1")
            values = values.view(wanted.dtype)
        self._storages[wanted.key] = wanted, values
        return values


def _listed(text: str, kind: _Name) -> Iterator[str]:
    """The names of a module class's parameters and buffers, from the text of its file."""
    inside = found = False
    for line in text.splitlines():
        if line and not line.startswith(" "):
            inside = line == f"class {kind.name}(Module):"
            found |= inside
        elif inside and line.startswith(("  __parameters__", "  __buffers__")):
            match = _NAMES.fullmatch(line)
            if match is None:
                raise UnsafeArchiveError(f"the parameters of {kind} cannot be read from its code")
            yield from re.findall(r'"([^"]*)"', match[1])
    if not found:
        raise UnsafeArchiveError(f"{kind} is not a module class of the archive")


def _state(root: _Node, archive: _Archive) -> Iterator[tuple[str, _View]]:
    """The tensors of a tree of modules by dotted name: those of a module before those of its submodules."""
    waiting, names = [("", root, 0)], 0
    while waiting:
        prefix, module, depth = waiting.pop()
        registered = archive.registered(module.kind)
        inner = {name: value for name, value in module.attributes.items() if isinstance(value, _Node)}
        names += 1 + len(registered)
        longest = len(prefix) + max(map(len, (*registered, *inner)), default=0)
        if depth > MAX_DEPTH or names > MAX_NAMES or longest > MAX_NAME:
            raise UnsafeArchiveError("its modules contain each other too many times, or have names that are too long")
        for name in registered:
            value = module.attributes.get(name)
            if isinstance(value, _View):
                yield prefix + name, value
            elif value is not None:  # as the bias of a layer without one
                raise UnsafeArchiveError(f"its parameter {shown(prefix + name)} is not a dense tensor")
        waiting += [(f"{prefix}{name}.", node, depth + 1) for name, node in reversed(inner.items())]


def _unpickled(content: bytes) -> Any:
    """The object of a pickle of torch's own writer, in which every tensor is a `_View` and every object a `_Node`.

    Raises:
        UnsafeArchiveError: an opcode or a name is not of those that the writer uses for modules with dense tensors.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}
    operations: Iterator[tuple[Any, Any, Any]] = pickletools.genops(content)

    def since_mark() -> list[Any]:
        first = marks.pop()
        items = stack[first:]
        del stack[first:]
        return items

    try:
        for opcode, argument, _ in operations:
            match opcode.name:
                case "PROTO":
                    pass
                case "STOP":
                    return stack.pop()
                case "MARK":
                    marks.append(len(stack))
                case "NONE" | "NEWTRUE" | "NEWFALSE":
                    stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[opcode.name])
                case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE":
                    stack.append(argument)
                case "BINPUT" | "LONG_BINPUT":
                    memo[argument] = stack[-1]
                case "BINGET" | "LONG_BINGET":
                    stack.append(memo[argument])
                case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE":
                    stack.append({"EMPTY_DICT": {}, "EMPTY_LIST": [], "EMPTY_TUPLE": ()}[opcode.name])
                case "TUPLE":
                    stack.append(tuple(since_mark()))
                case "TUPLE1" | "TUPLE2" | "TUPLE3":
                    count = int(opcode.name[-1])
                    stack[-count:] = [tuple(stack[-count:])]
                case "APPEND":
                    item = stack.pop()
                    _expected(stack[-1], list).append(item)
                case "APPENDS":
                    items = since_mark()
                    _expected(stack[-1], list).extend(items)
                case "SETITEM" | "SETITEMS":
                    items = since_mark() if opcode.name == "SETITEMS" else [stack.pop(-2), stack.pop()]
                    _expected(stack[-1], dict).update(_entries(items))
                case "GLOBAL":
                    stack.append(_Name(*argument.split(" ")))
                case "NEWOBJ":
                    stack.pop()
                    stack.append(_new(stack.pop()))
                case "BUILD":
                    state = stack.pop()
                    _expected(stack[-1], _Node).attributes = _attributes(state, stack[-1].kind)
                case "REDUCE":
                    arguments = _expected(stack.pop(), tuple)
                    stack.append(_called(stack.pop(), arguments))
                case "BINPERSID":
                    stack.append(_storage(stack.pop()))
                case other:
                    raise UnsafeArchiveError(f"data.pkl has the opcode {other}")
    except (LookupError, TypeError, AttributeError) as error:
        raise UnsafeArchiveError(f"data.pkl is not well formed ({type(error).__name__})") from error
    raise UnsafeArchiveError("data.pkl has no end")


def _expected(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise UnsafeArchiveError(f"data.pkl has a {type(value).__name__} where a {kind.__name__} is due")
    return value


def _entries(items: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Keys and values of a dict; a key is a plain value, so that its hash takes no time."""
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, str | int | float):
            raise UnsafeArchiveError(f"data.pkl has a {type(key).__name__} as a key")
        yield key, value


def _new(kind: Any) -> _Node:
    if not isinstance(kind, _Name) or not f"{kind.module}.".startswith("__torch__."):
        raise _refused(kind)
    return _Node(kind)


def _refused(named: Any) -> UnsafeArchiveError:
    return UnsafeArchiveError(f"data.pkl names {named if isinstance(named, _Name) else 'no class or function'}")


def _attributes(state: Any, kind: _Name) -> dict[str, Any]:
    if type(state) is not dict or not all(isinstance(name, str) for name in state):
        raise UnsafeArchiveError(f"the state of {kind} is not a dict of attributes")
    return state


def _called(function: Any, arguments: tuple[Any, ...]) -> Any:
    """The meaning of a function of torch's writer with these arguments; nothing is called."""
    match function, arguments:
        case (
            _Name("torch._utils", "_rebuild_tensor_v2"),
            (_Storage() as storage, offset, tuple(size), tuple(stride), *_),
        ):
            numbers = (offset, *size, *stride)
            if len(size) != len(stride) or not all(type(n) is int and 0 <= n < 2**63 for n in numbers):
                raise UnsafeArchiveError("data.pkl has a tensor whose shape or stride is not one")
            return _View(storage, offset, size, stride)
        case (_Name("collections", "OrderedDict"), ()):
            return {}
        case (_Name("torch.jit._pickle", name), (value, *_)) if name in _TYPED:
            return value
    raise _refused(function)


def _storage(identifier: Any) -> _Storage:
    match identifier:
        case ("storage", _Name("torch", name), str(key), str(), int(numel)) if name in _STORAGES and numel >= 0:
            return _Storage(key, _STORAGES[name], numel)
        case (_, _Name() as kind, *_):
            raise UnsafeArchiveError(f"data.pkl has a storage that is not of real numbers: {kind}")
    raise UnsafeArchiveError("data.pkl has a storage of unknown form")
