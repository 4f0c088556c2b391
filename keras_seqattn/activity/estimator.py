"""A classifier of windows as scikit-learn's tools take one.

Imported when it is first used: it needs scikit-learn.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

try:
    from sklearn.base import BaseEstimator
    from sklearn.base import ClassifierMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise ImportError(
        "`ActivityEstimator` needs scikit-learn: "
        "pip install keras_seqattn[activity]"
    ) from error

from keras_seqattn._training.recipe import Recipe
from keras_seqattn.activity.final import train_final
from keras_seqattn.activity.training import predict
from keras_seqattn.models.activity_classifier import build_activity_classifier
from keras_seqattn.windows.activity_windows import ActivityWindows


class ActivityEstimator(ClassifierMixin, BaseEstimator):
    """A classifier of raw windows, for scikit-learn's tools.

    For `cross_val_score` with `GroupKFold`, searches and pipelines. Each
    `fit` is one `train_final`: the training windows alone set the scale of
    the channels, and all epochs are trained.

    Args:
        build: Function `build(timesteps, channels, classes, cell=...)` to an
            uncompiled model, such as `functools.partial` of
            `build_activity_classifier`. Default: that one.
        recipe: A `Recipe`, whose `patience` waits for nothing here. Default:
            `activity.RECIPE`.
        cell: The recurrent layer, handed to `build` as `cell`: `"larnn"`,
            `"lstm"` or `"gru"` for `models.build_activity_classifier`.
        seed: Integer, what the training depends on.
        verbose: 0 is silent, 1 shows a progress bar.

    Attributes:
        classes_: The labels that `fit` saw, in order.
        model_: The trained `keras.Model`, from raw windows to probabilities
            in the order of `classes_`.

    Raises:
        ImportError: scikit-learn is not installed.

    Example:
    ```python
    import keras
    import numpy as np
    from sklearn.model_selection import GroupKFold
    from sklearn.model_selection import cross_val_score
    from keras_seqattn.activity import ActivityEstimator
    from keras_seqattn.activity import Recipe

    def build(timesteps, channels, classes, cell):
        return keras.Sequential(
            [
                keras.Input((timesteps, channels)),
                keras.layers.GlobalAveragePooling1D(),
                keras.layers.Dense(classes, "softmax"),
            ]
        )

    rng = np.random.default_rng(0)
    y = np.where(np.arange(120) % 2, "walk", "rest")
    x = rng.normal(size=(120, 10, 3)) + 2 * (y == "walk")[:, None, None]
    recipe = Recipe(epochs=10, batch_size=16, learning_rate=0.1)
    accuracy = cross_val_score(
        ActivityEstimator(build, recipe),
        x,
        y,
        groups=np.arange(120) // 20,
        cv=GroupKFold(3),
    )
    print(accuracy.min() > 0.9)  # True
    ```
    """

    def __init__(
        self,
        build: Callable[..., keras.Model] | None = None,
        recipe: Recipe | None = None,
        *,
        cell: str = "larnn",
        seed: int = 0,
        verbose: int = 0,
    ) -> None:
        self.build = build
        self.recipe = recipe
        self.cell = cell
        self.seed = seed
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: Any, y: Any) -> "ActivityEstimator":
        """Train on all windows.

        Args:
            X: Array of shape `(windows, timesteps, channels)`, raw.
            y: Labels of shape `(windows,)`, integers or text.

        Raises:
            ValueError: Arrays of another rank or of different lengths, NaN,
                or fewer than two classes.
        """
        check_classification_targets(y)
        self.classes_, codes = np.unique(np.asarray(y), return_inverse=True)
        x = np.asarray(X)
        channels = x.shape[-1] if x.ndim == 3 else 0
        names = np.array([str(label) for label in self.classes_])
        windows = ActivityWindows(
            x=x,
            y=names[codes],
            subject=np.zeros(len(codes), int),
            classes=tuple(names),
            channels=tuple(f"channel {i}" for i in range(channels)),
            rate=1,
        )
        self.model_ = train_final(
            windows,
            self.build or build_activity_classifier,
            self.recipe,
            cell=self.cell,
            seed=self.seed,
            verbose=self.verbose,
        )
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return probabilities `(windows, classes)`.

        Args:
            X: Array of shape `(windows, timesteps, channels)`, raw.

        Raises:
            ValueError: Windows of another shape, or NaN.
        """
        check_is_fitted(self, "model_")
        x = np.asarray(X)
        expected = self.model_.input_shape[1:]
        if x.ndim != 3 or x.shape[1:] != expected or not len(x):
            raise ValueError(
                "`X` must be windows of the shape of those trained on, "
                f"{('windows', *expected)}. Received: X.shape={x.shape}"
            )
        if not np.isfinite(x).all():
            raise ValueError("`X` must be finite. Received: NaN or infinity")
        return predict(self.model_, x.astype("float32"))

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest label of each window.

        Args:
            X: Array of shape `(windows, timesteps, channels)`, raw.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]
