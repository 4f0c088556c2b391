"""NumPy's files, `.npz` and `.npy`: sizes first, then the arrays asked for."""

import contextlib
import math
import os
import zipfile
from collections.abc import Iterable
from collections.abc import Iterator
from types import TracebackType
from typing import IO
from typing import Any

import numpy as np

MAX_BYTES = 2**31
# Zeros pack a thousandfold. No recording does, so beyond this size it is asked.
LARGE = 2**28
MAX_RATIO = 300
# What the one array of an `.npy` file is called, as `numpy.savez` would.
ALONE = "arr_0"

NUMBERS = "buif"
REAL = "uif"
INTEGERS = "ui"
TEXT = "U"
LABELS = "buifU"
ANY = "buifcUSMmV"

_KINDS = {
    "b": "booleans",
    "u": "integers",
    "i": "integers",
    "f": "floats",
    "c": "complex numbers",
    "U": "text",
    "S": "bytes",
    "M": "dates",
    "m": "spans of time",
    "V": "records",
}
_ANEW = (
    "Write the file anew with `numpy.savez(path, name=array)` and plain arrays"
    " of numbers or text."
)


class ArrayFile:
    """The arrays of an `.npz` or `.npy` file, read one by one by name.

    What the file declares is compared with a limit before anything is
    unpacked. Objects (pickles) are never loaded: a member that holds some is
    refused when it is asked for, the others can be read. How the file is
    called does not matter, what it holds does.

    Args:
        path: Path of the file, or a link to it.
        max_bytes: Largest size of the arrays that are read, together.

    Attributes:
        path: The path as text.
        names: Names of the arrays. The one of an `.npy` file is `"arr_0"`.

    Raises:
        FileNotFoundError: There is nothing at `path`.
        ValueError: It is no file, a file of another kind, damaged, or holds
            two arrays of one name.

    Example:
    ```python
    import numpy as np
    from keras_seqattn._files.array_file import ArrayFile

    np.savez("recording.npz", spikes=np.ones((3, 2), "uint8"), dt=0.05)
    with ArrayFile("recording.npz") as file:
        print(file.names)  # ('spikes', 'dt')
        print(file.read("spikes", "ui", rank=2).sum())  # 6
        print(file.number("dt"))  # 0.05
    ```
    """

    def __init__(
        self, path: str | os.PathLike[str], max_bytes: int = MAX_BYTES
    ) -> None:
        self.path = os.fspath(path)
        self.max_bytes = max_bytes
        self._sizes: dict[str, int] = {}
        self._archive: zipfile.ZipFile | None = None
        self._members: dict[str, zipfile.ZipInfo | None] = {}
        _check_is_file(self.path)
        self._stack = contextlib.ExitStack()
        try:
            self._file = self._stack.enter_context(open(self.path, "rb"))
            self._open()
        except BaseException:
            self.close()
            raise
        self.names = tuple(self._members)

    def __enter__(self) -> "ArrayFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Return the shape and type that an array declares, unread.

        Raises:
            ValueError: There is no such array, or its header is damaged.
        """
        with self._clear_errors(name), self._stream(name) as stream:
            return _read_header(stream)

    def read(
        self,
        name: str,
        kinds: str = NUMBERS,
        rank: int | tuple[int, ...] | None = None,
    ) -> np.ndarray:
        """Read an array.

        Args:
            name: Its name.
            kinds: Letters of the types it may have, as `numpy.dtype.kind`.
            rank: The rank that it must have, or several. Default: any.

        Raises:
            ValueError: There is no such array, it is of another type or
                rank, too large, or damaged.
        """
        shape, dtype = self.header(name)
        self._check_type(name, shape, dtype, kinds, rank)
        self._check_size(name, shape, dtype)
        with self._clear_errors(name), self._stream(name) as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
            # At its end a member's checksum is compared.
            if stream.read(1):
                raise ValueError("there are bytes after the array's last")
        if not dtype.isnative:
            array = array.astype(dtype.newbyteorder("="))
        return array

    def number(self, name: str) -> float:
        """Read an array that holds a single finite number.

        Raises:
            ValueError: It holds anything else, or as `read`.
        """
        array = self.read(name, REAL)
        if array.size != 1 or not np.isfinite(array).all():
            raise ValueError(
                f"{name!r} in {self.path!r} must be one finite number. "
                f"Received: {_short(array)}"
            )
        # The number that was written: float32's .05 is not .05000000074505806.
        return float(str(array.ravel()[0]))

    def check_names(self, names: Iterable[str], expected: str) -> None:
        """Raise a `ValueError` that lists which of `names` are missing.

        Args:
            names: What is needed.
            expected: A sentence about what such a file holds.
        """
        missing = [name for name in names if name not in self]
        if missing:
            raise ValueError(
                f"{self.path!r} lacks {missing}. {expected} "
                f"Received: keys={list(self.names[:20])}"
            )

    def _open(self) -> None:
        start = self._file.read(len(np.lib.format.MAGIC_PREFIX))
        self._file.seek(0)
        if start == np.lib.format.MAGIC_PREFIX:
            self._members = {ALONE: None}
            return
        if not start.startswith(b"PK"):
            raise ValueError(
                f"{self.path!r} is neither an `.npz` file, as written by "
                "`numpy.savez`, nor an `.npy` file. "
                f"Received: a file that begins with {start!r}"
            )
        with self._clear_errors(None):
            self._archive = self._stack.enter_context(
                zipfile.ZipFile(self._file)
            )
        for info in self._archive.infolist():
            name, suffix = info.filename[:-4], info.filename[-4:]
            if suffix != ".npy":
                continue
            if name in self._members:
                raise ValueError(
                    f"{self.path!r} holds two arrays of the name {name!r}: "
                    f"which is meant cannot be known. {_ANEW}"
                )
            self._members[name] = info

    def _stream(self, name: str) -> contextlib.AbstractContextManager[Any]:
        info = self._members[name]
        if info is None:
            self._file.seek(0)
            return contextlib.nullcontext(self._file)
        assert self._archive is not None  # noqa: S101, members are of one
        return self._archive.open(info)

    @contextlib.contextmanager
    def _clear_errors(self, name: str | None) -> Iterator[None]:
        """Say of damaged data where they are and what to do."""
        if name is not None and name not in self._members:
            raise ValueError(
                f"{self.path!r} holds no array {name!r}. "
                f"Received: keys={list(self.names[:20])}"
            )
        place = (
            repr(self.path) if name is None else f"{name!r} in {self.path!r}"
        )
        try:
            yield
        # Of bytes turned over by chance zipfile, its decompressors and the
        # parser of headers raise what they happen to stumble upon.
        except Exception as error:
            encrypted = isinstance(error, RuntimeError) and "password" in str(
                error
            )
            raise ValueError(
                f"{place} cannot be read: it is "
                + ("encrypted. " if encrypted else "damaged or cut short. ")
                + f"Copy or fetch it again. {_ANEW} Received: "
                f"{_without_advice(error)}"
            ) from error

    def _check_type(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: np.dtype,
        kinds: str,
        rank: int | tuple[int, ...] | None,
    ) -> None:
        if dtype.hasobject:
            raise ValueError(
                f"{name!r} in {self.path!r} holds Python objects, which are "
                "not loaded: they could run any program. Lists of unequal "
                "length become such objects, and so do columns of mixed "
                f"types. {_ANEW} Received: shape={shape}, dtype={dtype}"
            )
        if dtype.kind not in kinds:
            words = list(dict.fromkeys(_KINDS[kind] for kind in kinds))
            raise ValueError(
                f"{name!r} in {self.path!r} must hold {' or '.join(words)}. "
                f"Received: shape={shape}, dtype={dtype}"
            )
        ranks = (rank,) if isinstance(rank, int) else rank
        if ranks is not None and len(shape) not in ranks:
            raise ValueError(
                f"{name!r} in {self.path!r} must be of rank "
                f"{' or '.join(map(str, ranks))}. Received: shape={shape}"
            )

    def _check_size(
        self, name: str, shape: tuple[int, ...], dtype: np.dtype
    ) -> None:
        """Compare what the header and the archive declare with the limit."""
        # Of texts without letters there could be any number.
        size = math.prod(shape) * max(dtype.itemsize, 1)
        info = self._members[name]
        packed = None
        if info is None:
            held = os.fstat(self._file.fileno()).st_size
        else:
            held, packed = info.file_size, info.compress_size
        together = sum({**self._sizes, name: max(size, held)}.values())
        if together > self.max_bytes:
            raise ValueError(
                f"{name!r} in {self.path!r} is too large: the arrays that are "
                f"read would be {together:,} bytes, more than the "
                f"{self.max_bytes:,} that are allowed. Save fewer bins or a "
                f"smaller type. Received: shape={shape}, dtype={dtype}"
            )
        if packed is not None and held > max(LARGE, MAX_RATIO * packed):
            raise ValueError(
                f"{name!r} in {self.path!r} would unpack from {packed:,} to "
                f"{held:,} bytes, which no recording does. If it is one, save "
                "it with `numpy.savez`, which does not compress. "
                f"Received: shape={shape}, dtype={dtype}"
            )
        # A header is at least the 10 bytes before its text.
        if size and held < size + 10:
            raise ValueError(
                f"{name!r} in {self.path!r} is damaged or cut short: it "
                f"declares {size:,} bytes of numbers and holds {held:,}. "
                f"Copy or fetch it again. {_ANEW} "
                f"Received: shape={shape}, dtype={dtype}"
            )
        self._sizes[name] = max(size, held)


def is_array_file(path: str | os.PathLike[str]) -> bool:
    """Return whether a file begins as an `.npz` or `.npy` file does."""
    path = os.fspath(path)
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        start = file.read(len(np.lib.format.MAGIC_PREFIX))
    return start == np.lib.format.MAGIC_PREFIX or start.startswith(b"PK")


def _check_is_file(path: str) -> None:
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file at {path!r}.")
    if os.path.isdir(path):
        raise ValueError(
            f"{path!r} is a folder. Expected: an `.npz` or `.npy` file in it."
        )
    if not os.path.isfile(path):
        # A pipe would be waited for, for ever.
        raise ValueError(
            f"{path!r} is no file that can be read at any position (a pipe or "
            "a device). Copy what it holds to a file."
        )


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version in ((2, 0), (3, 0)):
        # 3.0 is 2.0 with names of fields beyond Latin-1; they are refused.
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"a header of the unknown version {version}")
    if any(isinstance(n, bool) or n < 0 for n in shape):
        raise ValueError(f"a header with the shape {shape}")
    return shape, dtype


def _without_advice(error: Exception) -> str:
    """NumPy's message, but not how to load what is not to be loaded."""
    text = str(error).strip() or type(error).__name__
    return type(error).__name__ if "allow_pickle" in text else text[:300]


def _short(array: np.ndarray) -> Any:
    return array.tolist() if array.size < 5 else f"shape={array.shape}"
