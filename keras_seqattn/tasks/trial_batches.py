"""TrialBatches: a task from elsewhere, for `fit` on every backend."""

import functools
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn._checks import check_flag
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import to_float32


class TrialBatches(keras.utils.PyDataset):
    """Batches of any source of `(inputs, targets)`, for `fit` on every backend.

    The source may be a task of another package, such as the `Dataset` of
    [neurogym](https://github.com/neurogym/neurogym): what it yields is
    checked, brought into Keras' order of axes, and served as it comes. Each
    epoch of `fit` has `steps` new batches. They are held until all of them
    were taken, so a look at a batch, by you or by Keras, loses none.

    Validate on what stays the same: `validation_data=others[0]`. After a
    `fit` that ended before all of them were taken, by Ctrl-C or
    `steps_per_epoch`, the next begins with the same batches.

    Args:
        source: An iterator, a function without arguments that returns another
            pair each time, or an iterable, which is gone through once. Each
            pair is `(inputs, targets)`, and all pairs have the same shapes.
        steps: Positive integer, batches of an epoch. With 1 or 2, build the
            model before `fit`, or Keras' look at them may count as an epoch.
        time_major: Whether inputs and targets come as `(time, batch, ...)`,
            as neurogym's do by default, and not as `(batch, time, ...)`.

    Input shape:
        `inputs`: numbers, `(batch, time, features)`, or `(time, batch,
        features)` if `time_major`.

        `targets`: `(batch, time)`, such as the number of the right action at
        each step, or `(batch, time, outputs)`; with the first two axes the
        other way round if `time_major`.

    Output shape:
        `(x, y)`: `x` is float32 of shape `(batch, time, features)`; `y` is of
        shape `(batch, time)` or `(batch, time, outputs)`, in float32 if it
        came as floats; integers and booleans are as they were.

    Raises:
        ValueError: What comes is no pair, no numbers, of other axes, not
            finite, or not as long as its targets; another shape than the
            first pair's; or nothing, because the source ended. The first
            pair is looked at at once. In `fit` on TensorFlow what a later one
            raises is TensorFlow's own error, with the same text.

    Example:
    ```python
    import numpy as np
    import keras
    import keras_seqattn as ks

    rng = np.random.default_rng(0)

    def integrate():
        evidence = rng.normal(size=(12, 32, 2))  # (time, batch, features)
        return evidence, evidence.cumsum(axis=0).argmax(axis=2)

    trials = ks.tasks.TrialBatches(integrate, steps=10, time_major=True)
    x, y = trials[0]
    print(x.shape, y.shape)  # (32, 12, 2) (32, 12)

    inputs = keras.Input((12, 2))
    states = keras.layers.GRU(8, return_sequences=True)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, "softmax")(states))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(trials, epochs=2, verbose=0)
    ```
    """

    def __init__(
        self, source: Any, steps: int, *, time_major: bool = False
    ) -> None:
        super().__init__()
        self.steps = check_positive_integer("steps", steps)
        self.time_major = check_flag("time_major", time_major)
        self._draw = _draw_from(source)
        self._drawn = 0
        self._shapes: tuple[tuple[int, ...], ...] | None = None
        self._held: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._served: set[int] = set()
        self._running = False
        self[0]  # Errors here are easier to read than those in `fit`.

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if not 0 <= index < self.steps:
            raise IndexError(
                f"A batch is from 0 to {self.steps - 1}. Received: {index}"
            )
        if self._running:
            if index in self._served:
                # Else Keras had begun just to look at the first.
                if len(self._served) == self.steps:
                    self._held.clear()
                self._served.clear()
            self._served.add(index)
        if index not in self._held:
            self._held[index] = self._next()
        return self._held[index]

    def on_epoch_begin(self) -> None:
        self._running = True

    def on_epoch_end(self) -> None:
        self._running = False

    def _next(self) -> tuple[np.ndarray, np.ndarray]:
        try:
            pair = self._draw()
        except StopIteration:
            raise ValueError(
                "`source` must not end before the last epoch does: use fewer "
                "`steps` or epochs, or a source without an end. Received: "
                f"{self._drawn} pairs, steps={self.steps}"
            ) from None
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            count = f" of {len(pair)}" if hasattr(pair, "__len__") else ""
            raise ValueError(
                "`source` must yield pairs `(inputs, targets)`: leave out what "
                "is more, and call a function that makes a generator. "
                f"Received: a {type(pair).__name__}{count}{self._place}"
            )
        x, y = self._in_order(*pair)
        self._drawn += 1
        return x, y

    def _in_order(self, inputs: Any, targets: Any) -> tuple[Any, Any]:
        first = "time, batch" if self.time_major else "batch, time"
        axes = f"({first}, features)"
        x = to_float32(check_array("inputs", inputs, axes))
        axes = f"({first}) or ({first}, outputs)"
        y = check_array("targets", targets, axes)
        if x.shape[:2] != y.shape[:2]:
            raise ValueError(
                f"`inputs` and `targets` must have the same ({first}): a "
                "target for each step of each trial. Received: shapes "
                f"{x.shape} and {y.shape}{self._place}"
            )
        if self.time_major:
            x, y = x.swapaxes(0, 1), y.swapaxes(0, 1)
        if y.dtype.kind == "f":
            y = to_float32(y)
        for name, array in (("inputs", x), ("targets", y)):
            if not array.size:
                raise ValueError(
                    f"`{name}` must not be empty. Received: shape "
                    f"{array.shape}{self._place}"
                )
            if not np.isfinite(array).all():
                count = array.size - np.isfinite(array).sum()
                raise ValueError(
                    f"`{name}` must hold finite numbers, in float32 too: "
                    "replace others before they are yielded. Received: "
                    f"{count} others{self._place}"
                )
        self._shapes = self._shapes or (x.shape, y.shape)
        if (x.shape, y.shape) != self._shapes:
            raise ValueError(
                "`source` must yield pairs of the same shapes: pad short "
                "trials, and leave out a smaller last batch. Expected, batch "
                f"first: {self._shapes}. Received: {(x.shape, y.shape)}"
                f"{self._place}"
            )
        return x, y

    @property
    def _place(self) -> str:
        return f", as pair {self._drawn} from 0"


def _draw_from(source: Any) -> Callable[[], Any]:
    """Return a function that draws the next pair, or raise."""
    if hasattr(source, "__next__"):  # neurogym's can be called, too.
        return functools.partial(next, source)
    if callable(source):
        return source
    if isinstance(source, Iterable):
        return functools.partial(next, iter(source))
    raise ValueError(
        "`source` must be an iterator, an iterable or a function without "
        f"arguments. Received: source={source!r}"
    )
