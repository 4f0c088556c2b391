"""Simple decoders: what any other has to beat."""

import numpy as np

from keras_seqattn.decoding.data import DecodingData
from keras_seqattn.decoding.score import Score


def mean_baseline(data: DecodingData) -> Score:
    """Score on test windows of decoding the training mean: chance level."""
    _, true = data.windows("test", 1)
    return data.score("test", np.zeros_like(true))


def ridge_baseline(
    data: DecodingData, timesteps: int, part: str = "test"
) -> Score:
    """Score of ridge regression on the same windows.

    The penalty, in units of training windows, is chosen on the validation
    windows among the powers of ten from 1 to 10^5.

    Args:
        data: A `DecodingData`.
        timesteps: Window length in bins.
        part: The part to score. Default: `"test"`.

    Returns:
        A `Score`.
    """
    x, y = data.windows("train", timesteps)
    x = x.reshape(len(x), -1)
    # Standardized per bin, not per window: a small offset is left.
    center, offset = x.mean(axis=0), y.mean(axis=0)
    x = x - center
    gram = (x.T @ x).astype("float64")
    cross = (x.T @ (y - offset)).astype("float64")

    def score(weights: np.ndarray, part: str) -> Score:
        windows, _ = data.windows(part, timesteps)
        windows = windows.reshape(len(windows), -1)
        return data.score(part, (windows - center) @ weights + offset)

    candidates = [
        np.linalg.solve(gram + penalty * np.eye(len(gram)), cross)
        for penalty in 10.0 ** np.arange(6)
    ]
    best = max(candidates, key=lambda w: score(w, "validation").r2)
    return score(best, part)
