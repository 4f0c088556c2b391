"""The directory of a search: one search at a time, nothing half-written."""

import contextlib
import json
import os
import pathlib
import socket
from collections.abc import Callable
from collections.abc import Iterator
from types import UnionType
from typing import Any

import keras_tuner

from tuning.settings import Settings


class SearchError(keras_tuner.errors.FatalRuntimeError):
    """What ends a search at once, and is no fault of a trial."""


def write_atomically(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write a file so that it is there as a whole, or as it was before.

    Args:
        path: Path of the file. Its folder is made if need be.
        data: All of it.

    Raises:
        SearchError: The disk is full, or the folder refuses.
    """
    path = pathlib.Path(path)
    part = path.with_name(f"{path.name}.part")
    if isinstance(data, str):
        data = data.encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise SearchError(
            f"Cannot write {str(path)!r}: {error.strerror}. All trials that "
            "were finished before are safe. Make room, or give yourself the "
            "right to write there, and go on with --resume."
        ) from error


def _check_shape(value: Any, shape: Any, where: str) -> None:
    """Raise if JSON is not of a shape: a type, or a dictionary or list of."""
    kind = shape if isinstance(shape, type | UnionType) else type(shape)
    if not isinstance(value, kind):
        expected = getattr(kind, "__name__", kind)
        raise ValueError(f"{where} must be {expected}, not {value!r:.40}")
    if isinstance(shape, list):
        for one in value:
            _check_shape(one, shape[0], f"an entry of {where}")
    elif isinstance(shape, dict):
        every = shape.get(str)
        for name in value if every else shape:
            if name not in value:
                raise ValueError(f"{where} lacks {name!r}")
            _check_shape(value[name], every or shape[name], repr(name))


def read_json(path: str | os.PathLike[str], shape: Any = dict) -> Any:
    """Read a JSON file.

    Args:
        path: Path of the file.
        shape: What it must hold: a type, `{"name": shape}` with what it must
            have, `{str: shape}` with any names, `[shape]`. Default: an object.

    Raises:
        SearchError: It cannot be read, or holds something else.
    """
    try:
        found = json.loads(pathlib.Path(path).read_text())
        _check_shape(found, shape, "the whole")
        return found
    except OSError as error:
        raise SearchError(
            f"Cannot read {os.fspath(path)!r}: {error.strerror}."
        ) from error
    except ValueError as error:
        raise SearchError(
            f"{os.fspath(path)!r} is damaged: {error}. A search writes it as "
            "a whole, so something else has changed it. Restore it, or begin "
            "a new search in another directory."
        ) from error


def read_settings(directory: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return the settings of the search in a directory, `None` if none is.

    Raises:
        SearchError: They cannot be read.
    """
    directory = pathlib.Path(directory)
    try:
        # Before that no trial has begun.
        there = (directory / "trials" / "oracle.json").exists()
    except OSError as error:
        raise SearchError(
            f"Cannot read {str(directory)!r}: {error.strerror}."
        ) from error
    if not there:
        return None
    return read_json(directory / "settings.json", {"max_trials": int})


@contextlib.contextmanager
def claimed(settings: Settings, resume: bool) -> Iterator[Callable[[], None]]:
    """Hold the directory of a search while it runs.

    What it yields writes the settings: to be called when nothing can be
    refused any more, and before the first trial.

    Args:
        settings: The search's.
        resume: Whether a search that is there goes on. If none is, a new one
            begins.

    Raises:
        SearchError: Another search runs there; there is one already, and
            `resume` is false; there is one with other settings; or the
            directory cannot be written.
    """
    directory = pathlib.Path(settings.directory)
    _check_ours(directory)
    with _locked(directory):
        found = read_settings(directory)
        if found is not None and not resume:
            raise SearchError(
                f"There is a search in {str(directory)!r} already. Go on with "
                "it by --resume, or choose another --directory."
            )
        if found is not None:
            _check_same(directory, found, settings)
        yield lambda: write_atomically(
            directory / "settings.json",
            json.dumps(settings.to_dict(), indent=1) + "\n",
        )


def _check_ours(directory: pathlib.Path) -> None:
    """Raise if somebody else's files are where a search is to be."""
    try:
        names = {path.name for path in directory.iterdir()}
        if (directory / "trials" / "oracle.json").exists():
            return
    except FileNotFoundError:
        return
    except OSError as error:
        raise SearchError(
            f"Cannot use {str(directory)!r}: {error.strerror}. Choose another "
            "--directory."
        ) from error
    if "settings.json" in names:
        settings = read_json(directory / "settings.json")
        if settings.keys() >= {"stem", "tuner", "max_trials"}:
            # It may have been killed before its first trial.
            names -= {"settings.json", "settings.json.part", "trials"}
    lock = directory / "lock"
    if "lock" in names and not lock.is_symlink() and lock.is_file():
        text = lock.read_bytes()[:100]
        if not text or text.startswith(b"process "):
            names -= {"lock"}
    if names:
        raise SearchError(
            f"{str(directory)!r} holds files, and no search: nothing of them "
            "is overwritten. Choose another --directory. Found: "
            f"{', '.join(sorted(names)[:5])}"
        )


def _check_same(
    directory: pathlib.Path, found: dict[str, Any], settings: Settings
) -> None:
    wanted = settings.to_dict()
    differing = [
        f"{name} is {found.get(name)!r} there and {value!r} here"
        for name, value in wanted.items()
        if found.get(name) != value
        and not (name == "max_trials" and found.get(name, 0) < value)
    ]
    if differing:
        raise SearchError(
            f"The search in {str(directory)!r} has other settings: "
            f"{'; '.join(differing)}. Its scores could not be compared. "
            "Resume it with its own settings (with more --max-trials, if you "
            "like), or choose another --directory."
        )


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


@contextlib.contextmanager
def _locked(directory: pathlib.Path) -> Iterator[None]:
    """Hold a lock that ends with the process, whatever ends the process.

    `flock` is the operating system's. NFS from Linux 2.6.12 on passes it to
    the server, so it holds between machines there; a file system without it
    is refused, as is one that says nothing.
    """
    # Here, since Windows has no such module and may still read results.
    import fcntl

    path = directory / "lock"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Not "w": the text there is of the one who holds the lock.
        file = open(path, "a+", opener=_open_no_link)
    except OSError as error:
        raise SearchError(
            f"Cannot use {str(directory)!r}: {error.strerror}. Choose another "
            "--directory."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise SearchError(
                f"Another search runs in {str(directory)!r}: "
                f"{file.read().strip() or 'unknown'}. Wait for its end, end "
                "it, or choose another --directory."
            ) from error
        except OSError as error:
            raise SearchError(
                f"The file system of {str(directory)!r} has no locks: "
                f"{error.strerror}. Choose a --directory on another one."
            ) from error
        try:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
        except OSError as error:
            raise SearchError(
                f"Cannot write {str(path)!r}: {error.strerror}. Make room, or "
                "choose another --directory."
            ) from error
        yield
