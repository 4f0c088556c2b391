"""Where an artifact is written before it is proved."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def scratch_folder(home: pathlib.Path) -> Iterator[pathlib.Path]:
    """Make a folder that is gone in the end, whatever the end is.

    SIGTERM ends the process in order, with the folder and whatever process
    works on it. Of one that was killed, the next export removes the folder.

    Args:
        home: Where to make it.
    """
    prefix = f".export-{socket.gethostname()}-"
    _remove_stale(home, prefix)
    with (
        _orderly_end(),
        tempfile.TemporaryDirectory(
            dir=home, prefix=f"{prefix}{os.getpid()}-"
        ) as folder,
    ):
        yield pathlib.Path(folder)


def _remove_stale(home: pathlib.Path, prefix: str) -> None:
    for folder in home.glob(f"{prefix}*"):
        process = folder.name.removeprefix(prefix).partition("-")[0]
        if process.isdigit() and not _lives(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(process: int) -> bool:
    if sys.platform == "win32":  # There, signal 0 would end it.
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # Somebody else's.
        return True
    return True


@contextlib.contextmanager
def _orderly_end() -> Iterator[None]:
    # Only a main thread may handle signals; others' handlers stay.
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
