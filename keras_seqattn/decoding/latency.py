"""How long a single window takes."""

import dataclasses
import time
from typing import Any

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class Latency:
    """Time to decode a single window, in milliseconds."""

    p50: float
    p95: float


def measure_latency(
    models: dict[Any, keras.Model], repeats: int = 200, warm_up: int = 20
) -> dict[Any, Latency]:
    """Time `predict_on_batch` on one window, models in turn.

    Args:
        models: Models by any key. Each gets windows of its own input shape.
        repeats: Timed calls of each model.
        warm_up: Untimed calls before (compilation, caches).

    Returns:
        A `Latency` for each key.
    """
    windows = {
        key: np.zeros((1, *model.input_shape[1:]), "float32")
        for key, model in models.items()
    }
    times: dict[Any, list[float]] = {key: [] for key in models}
    for repeat in range(warm_up + repeats):
        for key, model in models.items():
            start = time.perf_counter()
            model.predict_on_batch(windows[key])
            if repeat >= warm_up:
                times[key].append(1e3 * (time.perf_counter() - start))
    return {
        key: Latency(*np.percentile(values, (50, 95)).tolist())
        for key, values in times.items()
    }
