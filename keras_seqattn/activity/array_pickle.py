"""Read pickled arrays without letting the pickle build them.

`numpy.load(allow_pickle=True)` runs what the file says. Here the pickle only
hands over sizes, types and bytes; the arrays are made from them here, and
checked. Nothing else is admitted.
"""

import os
import pickle
import re
from typing import Any

import numpy as np

_ERRORS = (
    ValueError,
    TypeError,
    EOFError,
    IndexError,
    AttributeError,
    MemoryError,
    RecursionError,
    pickle.UnpicklingError,
)


def read_dictionary(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a dictionary of arrays that `numpy.save` pickled, and no more.

    Args:
        path: Path of an `.npy` file.

    Raises:
        ValueError: The file holds anything but arrays, lists, tuples,
            dictionaries, numbers and strings, or is not such a file.
    """
    path = os.fspath(path)
    with open(path, "rb") as file:
        try:
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("of a version other than 1.0")
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            if shape != () or dtype != np.dtype(object):
                raise ValueError(f"of shape {shape} and dtype {dtype}")
            data = _plain(_ArrayUnpickler(file).load())
            data = data.item() if isinstance(data, np.ndarray) else data
            if not isinstance(data, dict):
                raise ValueError(f"a {type(data).__name__}")
        except _ERRORS as error:
            raise ValueError(
                f"{path!r} must be an `.npy` file that holds one dictionary "
                f"of arrays. Received: {error or type(error).__name__}"
            ) from error
    return data


class _Type:
    """What a pickle says of a dtype."""

    def __init__(self, code: str, *_: Any) -> None:
        if not re.fullmatch(r"[fiub][1248]|O8?|[US]\d{1,4}", code):
            raise pickle.UnpicklingError(f"an array of type {code!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("an array with fields")
        if state[1] == ">":
            self.dtype = self.dtype.newbyteorder(">")


class _Array:
    """What a pickle says of an array."""

    array: np.ndarray

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, data = state
        if kind.dtype == np.dtype(object):
            if not isinstance(data, list):
                raise pickle.UnpicklingError("objects given as bytes")
            # The elements may not be complete yet: see `_plain`.
            self.array = np.empty(len(data), object)
            self.array[:] = data
        else:
            self.array = np.frombuffer(bytes(data), kind.dtype)
        if fortran:
            self.array = self.array.reshape(shape[::-1]).T
        self.array = self.array.reshape(shape).copy()


def _scalar(kind: _Type, data: bytes) -> Any:
    if kind.dtype == np.dtype(object):
        raise pickle.UnpicklingError("a scalar of type object")
    return np.frombuffer(bytes(data), kind.dtype)[0]


def _encode(text: str, encoding: str) -> bytes:
    """How a pickle of protocol 2 writes bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text encoded as {encoding!r}")
    return text.encode("latin1")


def _plain(value: Any) -> Any:
    """Put the arrays in place of what was said of them."""
    if isinstance(value, _Array):
        array = value.array
        if array.dtype == np.dtype(object):
            for index in np.ndindex(array.shape):
                array[index] = _plain(array[index])
        return array
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    return value


# What a pickled array calls: its own names, before and since NumPy 2.
_ADMITTED: dict[tuple[str, str], Any] = {
    ("_codecs", "encode"): _encode,
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): _Array,
    **{
        (module, name): function
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for name, function in (
            ("_reconstruct", lambda *_: _Array()),
            ("scalar", _scalar),
        )
    },
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(
                f"a pickle that calls {module}.{name}, which an array does "
                "not need; it was not called"
            )
        return _ADMITTED[module, name]
