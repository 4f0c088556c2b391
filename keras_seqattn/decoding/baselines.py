"""Simple decoders: what any other has to beat."""

import copy
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_seqattn.decoding.costs import Costs
from keras_seqattn.decoding.data import DecodingData
from keras_seqattn.decoding.estimators import EstimatorDecoder
from keras_seqattn.decoding.kalman import KalmanFilter as KalmanFilter
from keras_seqattn.decoding.score import Score
from keras_seqattn.decoding.simple_decoder import SimpleDecoder as SimpleDecoder
from keras_seqattn.decoding.wiener import WienerCascade as WienerCascade
from keras_seqattn.decoding.wiener import WienerFilter as WienerFilter

MEAN = "training mean"
WIENER = "Wiener filter"


def mean_baseline(data: DecodingData) -> Score:
    """Score on test windows of decoding the training mean: chance level."""
    _, true = data.windows("test", 1)
    return data.score("test", np.zeros_like(true))


def mean_costs(data: DecodingData) -> Costs:
    """Return what it costs to decode the training mean."""
    return Costs.of(data.recording.movement.shape[1], 0)


def check_baselines(
    baselines: Mapping[str, Any] | None,
) -> dict[str, SimpleDecoder]:
    """Return this field's own decoders and those given, by name.

    Args:
        baselines: Decoders by name: a `SimpleDecoder`, or an estimator with
            `fit(X, y)` and `predict(X)`. One that has the name of a default
            takes its place.

    Raises:
        ValueError: Another kind of object, or a name that is not a text.
    """
    found: dict[str, SimpleDecoder] = {
        WIENER: WienerFilter(),
        "Wiener cascade": WienerCascade(),
        "Kalman filter": KalmanFilter(),
    }
    if baselines is not None and not isinstance(baselines, Mapping):
        raise ValueError(
            "`baselines` must be a dictionary from names to estimators. "
            f"Received: {type(baselines).__name__}"
        )
    for name, given in (baselines or {}).items():
        if not isinstance(name, str) or name in ("", MEAN):
            raise ValueError(
                f"A name in `baselines` must be a text other than {MEAN!r}. "
                f"Received: {name!r}"
            )
        methods = ("fit", "predict")
        if isinstance(given, type) or not all(
            callable(getattr(given, method, None)) for method in methods
        ):
            raise ValueError(
                "`baselines` must hold objects with `fit(X, y)` and "
                f"`predict(X)`. Received: {name!r}: {given!r}"
            )
        found[name] = (
            given
            if isinstance(given, SimpleDecoder)
            else EstimatorDecoder(given, name)
        )
    return found


def fit_baselines(
    decoders: Mapping[str, SimpleDecoder],
    data: DecodingData,
    lengths: Iterable[int],
) -> dict[tuple[str, int], SimpleDecoder]:
    """Fit a copy of each decoder for each window length.

    Returns:
        The decoders by name and length; those without a window once, by
        length 1: they take in one bin at a time.
    """
    fitted = {}
    for name, decoder in decoders.items():
        for k in dict.fromkeys(lengths if decoder.has_window else (1,)):
            fitted[name, k] = copy.deepcopy(decoder).fit(data, k)
    return fitted


def score_by_length(
    decoder: SimpleDecoder, data: DecodingData, lengths: Iterable[int]
) -> dict[int, float]:
    """Return the validation R2 of a decoder at each window length."""
    return {
        k: copy.deepcopy(decoder).fit(data, k).score(data, "validation").r2
        for k in lengths
    }
