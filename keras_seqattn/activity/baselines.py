"""Simple classifiers: what any other has to beat."""

import importlib
import warnings
from typing import Any

import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn.activity.score import Score
from keras_seqattn.windows.activity_windows import ActivityWindows
from keras_seqattn.windows.standardizer import Standardizer

PENALTY = {"samples": 100.0, "statistics": 1.0}


def import_linear_model() -> Any:
    """Return `sklearn.linear_model`, or say how to install it."""
    try:
        return importlib.import_module("sklearn.linear_model")
    except ImportError as error:
        raise ImportError(
            "Logistic regression needs scikit-learn: "
            "pip install keras_seqattn[activity]"
        ) from error


def majority_baseline(
    windows: ActivityWindows, train: np.ndarray, test: np.ndarray
) -> Score:
    """Score of always naming the most frequent training class: chance."""
    classes = len(windows.classes)
    most = np.bincount(windows.y[train], minlength=classes).argmax()
    return Score.of(windows.y[test], np.full(len(test), most), classes)


def logistic_baseline(
    windows: ActivityWindows,
    train: np.ndarray,
    test: np.ndarray,
    features: str = "samples",
) -> Score:
    """Score of logistic regression, standardized by the training windows.

    Args:
        windows: An `ActivityWindows`.
        train: Indices of the training windows.
        test: Indices of the windows to score.
        features: `"samples"`, the raw window, or `"statistics"`, of each
            channel mean, deviation, smallest and largest value, quartiles and
            the root mean square of its steps.

    Returns:
        A `Score`.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    check_choice("features", features, PENALTY)
    linear_model = import_linear_model()
    x = windows.x if features == "samples" else window_statistics(windows.x)
    x = x.reshape(len(x), -1)
    x = Standardizer.fit(x[train]).transform(x)
    model = linear_model.LogisticRegression(
        C=1 / PENALTY[features], max_iter=100
    )
    with warnings.catch_warnings():
        # A few steps short of the optimum, the score is the same.
        warnings.filterwarnings("ignore", message="lbfgs failed to converge")
        model.fit(x[train], windows.y[train])
    return Score.of(
        windows.y[test], model.predict(x[test]), len(windows.classes)
    )


def window_statistics(x: np.ndarray) -> np.ndarray:
    """Return eight numbers a channel, of shape (windows, 8, channels)."""
    steps = np.diff(x, axis=1, prepend=x[:, :1])
    return np.stack(
        [
            x.mean(axis=1),
            x.std(axis=1),
            *np.percentile(x, (0, 25, 50, 75, 100), axis=1),
            np.sqrt(np.mean(steps**2, axis=1)),
        ],
        axis=1,
    )
