"""One progress bar over the epochs of a training."""

import sys
import time
from typing import Any

import keras

SHOWN = ("accuracy", "loss", "val_accuracy", "val_loss")


class EpochBar(keras.callbacks.Callback):
    """Keras' progress bar, over the epochs of one training.

    Where the output is no terminal, one plain line when the training is over.

    Args:
        title: What is trained: above the bar, or at the line's beginning.
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = title

    def on_train_begin(self, logs: Any = None) -> None:
        self.done = 0
        self.values: list[tuple[str, Any]] = []
        self.begun = time.monotonic()
        self.bar = None
        if sys.stdout.isatty():
            print(self.title, flush=True)
            self.bar = keras.utils.Progbar(
                self.params["epochs"],
                stateful_metrics=list(SHOWN),
                unit_name="epoch",
            )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.done = epoch + 1
        self.values = sorted(
            (name, value)
            for name, value in (logs or {}).items()
            if name in SHOWN
        )
        if self.bar is not None and self.done < self.params["epochs"]:
            self.bar.update(self.done, self.values, finalize=False)

    def on_train_end(self, logs: Any = None) -> None:
        if self.bar is not None:
            # Early stopping: the bar ends where the training did.
            self.bar.target = self.done
            self.bar.update(self.done, self.values, finalize=True)
            return
        found = [f"{name} {value:.4g}" for name, value in self.values]
        seconds = f"{time.monotonic() - self.begun:.0f} s"
        print(
            f"{self.title}: "
            + ", ".join([f"{self.done} epochs", seconds, *found]),
            flush=True,
        )
