"""The first Ctrl-C ends a search, wherever it comes.

A KeyboardInterrupt that is raised while a compiled library calls back, as JAX
does when it traces, is lost or comes out as a fault of the trial.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import keras

_PRESSED = threading.Event()


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """Remember a Ctrl-C, for `check` to raise again, until the end."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return

    def press(number: int, frame: FrameType | None) -> None:
        _PRESSED.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, press)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _PRESSED.clear()  # What trains next in this process goes its way.


def check() -> None:
    """Raise KeyboardInterrupt if there was a Ctrl-C."""
    if _PRESSED.is_set():
        raise KeyboardInterrupt


class StopAtInterrupt(keras.callbacks.Callback):
    """Ends a training after a batch in which a Ctrl-C was lost."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        check()
