"""Unpickles files of ``torch.save`` and of ``pickle`` as data. Nothing in a file is run or imported.

A pickle names classes and functions, and asks to call them. Here every name becomes one of four things: a function or
type from ``_table``, which builds data; a number type of torch or numpy; a stand-in for a class, which forgets what it
is given; or, if the pickle calls a function or a class of the standard library, a refusal with that name. torch's own
reader of plain weights refuses pickles of protocol 4 and later, and every name that it does not know.
"""

from __future__ import annotations

import collections
import functools
import io
import pickle
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

from deploy_core.models.numpy_pickles import numpy_names

# Python 2 and early versions of Python 3 wrote other names.
RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg", "UserDict": "collections"}
# What these modules build is data that no model needs: calling them gives a stand-in.
DATA_MODULES = ("pathlib", "datetime", "decimal", "fractions", "uuid", "zoneinfo", "numpy.random")
SKIPPED_BUILTINS = ("bytes", "bytearray", "range", "slice")
BUILTINS = ("list", "dict", "set", "frozenset", "tuple", "int", "float", "complex", "bool", "str", "object")
BAGS = ("argparse.Namespace", "types.SimpleNamespace")
MOST_NESTED = 3


class CodeInside(Exception):
    """The pickle wants to call ``what``, which does not build data."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(what)


class _Uncalled(type):
    """The type of stand-ins. Calling one means that the pickle wants to run it."""

    path: str

    def __call__(cls, *_: Any, **__: Any) -> Any:
        raise CodeInside(cls.path)

    def __setattr__(cls, name: str, _: Any) -> None:
        raise CodeInside(f"{cls.path}.{name}")


class StandIn(metaclass=_Uncalled):
    """Stands for an object of the class ``path``, and forgets what it is given."""

    path = ""

    def __new__(cls, *_: Any, **__: Any) -> StandIn:
        return object.__new__(cls)

    def __setstate__(self, state: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, item: Any) -> None: ...

    def extend(self, items: Any) -> None: ...


class _Called(_Uncalled):
    """The type of stand-ins for data, which may be called."""

    def __call__(cls, *_: Any, **__: Any) -> Any:
        return cls.__new__(cls)  # type: ignore[call-overload]


class _Allowed:
    """A function that builds data. It has no attributes that a pickle could change."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setattr__(self, name: str, _: Any) -> None:
        raise CodeInside(name)

    def __setstate__(self, _: Any) -> None:
        raise CodeInside("__setstate__")


def is_script(path: Path) -> bool:
    """Whether the file is a TorchScript archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name or name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def load(path: Path) -> Any:
    """The data in a file of ``torch.save`` or ``pickle.dump``, with tensors on the CPU.

    Objects of unknown classes become a ``StandIn``, ``Namespace`` objects a ``SimpleNamespace``. The caller refuses
    TorchScript first (``is_script``). Raises CodeInside, and many kinds of exceptions for a file that is no such file.
    """
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _load(file)


def _load(file: IO[bytes], depth: int = 0) -> Any:
    import torch

    if tarfile.is_tarfile(file):
        raise pickle.UnpicklingError("a tar archive")
    file.seek(0)
    reader = SimpleNamespace(
        __name__="deploy_core.models.pickles",
        Unpickler=type("Unpickler", (_Unpickler,), {"depth": depth}),
        load=lambda source, **options: _Unpickler(source, depth=depth, **options).load(),
    )
    if not zipfile.is_zipfile(file):
        file.seek(0)
        first = _Unpickler(file, depth=depth, encoding="utf-8").load()
        if first != torch.serialization.MAGIC_NUMBER:
            return first
    file.seek(0)
    return torch.load(file, map_location="cpu", pickle_module=reader, weights_only=False)


class _Unpickler(pickle.Unpickler):
    depth = 0

    def __init__(self, file: Any, depth: int | None = None, **options: Any) -> None:
        super().__init__(file, **options)
        self.depth = self.depth if depth is None else depth

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the pickle becomes. Nothing is imported by its name."""
        path = f"{RENAMED.get(module, module)}.{name}"
        if path in BAGS:
            return _Allowed(_bag) if path == "types.SimpleNamespace" else _bag_class()
        if path == "torch.storage._load_from_bytes":
            return _Allowed(self._nested)
        known = _table().get(path)
        if known is not None:
            return known if isinstance(known, type) or not callable(known) else _Allowed(known)
        is_data = (
            path.startswith(tuple(f"{start}." for start in DATA_MODULES))
            or path in {f"builtins.{name}" for name in SKIPPED_BUILTINS}
            or _is_somebodys_class(path)
        )
        return (_Called if is_data else _Uncalled)(name, (StandIn,), {"path": path})

    def _nested(self, data: bytes) -> Any:
        """A storage that was pickled with ``pickle`` alone holds a file of ``torch.save``."""
        if self.depth >= MOST_NESTED:
            raise pickle.UnpicklingError("nested too deep")
        return _load(io.BytesIO(data), self.depth + 1)


def _is_somebodys_class(path: str) -> bool:
    """Whether the name is that of a class outside the standard library: a configuration, an enumeration, a module."""
    return path.split(".")[0] not in sys.stdlib_module_names and path.rpartition(".")[2].lstrip("_")[:1].isupper()


class _Bag(SimpleNamespace):
    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update({key: value for key, value in state.items() if isinstance(key, str)})


def _bag(*_: Any) -> _Bag:
    return _Bag()


def _bag_class() -> type[_Bag]:
    """A class of its own for each name, so that no pickle can change another's."""
    return type("Namespace", (_Bag,), {})


@functools.cache
def _table() -> Mapping[str, Any]:
    """The functions and types that build data, by the names in pickles."""
    import builtins

    import torch

    utilities = torch._utils
    rebuilding = (
        "_rebuild_tensor",
        "_rebuild_tensor_v2",
        "_rebuild_tensor_v3",
        "_rebuild_parameter",
        "_rebuild_parameter_with_state",
        "_rebuild_qtensor",
        "_rebuild_sparse_tensor",
        "_rebuild_meta_tensor_no_storage",
    )
    table: dict[str, Any] = {
        "collections.OrderedDict": collections.OrderedDict,
        "collections.defaultdict": collections.defaultdict,
        "collections.Counter": _counter,
        "collections.deque": collections.deque,
        "_codecs.encode": _encode,
        "copyreg._reconstructor": _reconstruct,
        "torch.Size": torch.Size,
        "torch.device": torch.device,
        "torch.serialization._get_layout": torch.serialization._get_layout,
        "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
        **{f"torch._utils.{name}": getattr(utilities, name) for name in rebuilding if hasattr(utilities, name)},
        **{f"builtins.{name}": getattr(builtins, name) for name in BUILTINS},
        **{str(value): value for value in vars(torch).values() if isinstance(value, torch.dtype | torch.qscheme)},
    }
    return {**table, **numpy_names()}


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """Protocols before 3 write bytes as text."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise CodeInside("_codecs.encode")
    return text.encode("latin1")


def _counter(counts: Any = ()) -> dict[Any, Any]:
    return dict(counts)


def _reconstruct(kind: Any, *_: Any) -> Any:
    """Protocols before 2 build objects by this function."""
    if not (isinstance(kind, type) and issubclass(kind, StandIn | _Bag)):
        raise CodeInside(getattr(kind, "__name__", "copyreg._reconstructor"))
    return object.__new__(kind)


def _rebuild_from_type(rebuild: Any, kind: Any, arguments: Any, _: Any) -> Any:
    """A tensor with attributes; they are left out."""
    path = getattr(kind, "path", "")
    if path not in ("torch.Tensor", "torch.nn.parameter.Parameter") or not isinstance(rebuild, _Allowed):
        raise CodeInside(path or "torch._tensor._rebuild_from_type_v2")
    return rebuild(*arguments)
