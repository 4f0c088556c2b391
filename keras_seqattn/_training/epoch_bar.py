"""Keras' progress bar, over the epochs of one training."""

from typing import Any

import keras


class EpochBar(keras.callbacks.Callback):
    """Keras' progress bar, over the epochs of one training.

    Args:
        title: Printed above the bar.
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = title

    def on_train_begin(self, logs: Any = None) -> None:
        print(self.title, flush=True)
        self.done = 0
        self.values: list[tuple[str, Any]] = []
        self.bar = keras.utils.Progbar(
            self.params["epochs"],
            stateful_metrics=["accuracy", "loss", "val_accuracy", "val_loss"],
            unit_name="epoch",
        )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.done = epoch + 1
        self.values = sorted(
            (name, value)
            for name, value in (logs or {}).items()
            if name in self.bar.stateful_metrics
        )
        if self.done < self.params["epochs"]:
            self.bar.update(self.done, self.values, finalize=False)

    def on_train_end(self, logs: Any = None) -> None:
        # Early stopping: the bar ends where the training did.
        self.bar.target = self.done
        self.bar.update(self.done, self.values, finalize=True)
