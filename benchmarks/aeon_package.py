"""The package `aeon`, run by a Python of its own.

python aeon_package.py arrays.npz found.npz minirocket

For `activity_peers.py`. What it reads and writes are plain arrays.
"""

import sys
import time

import numpy as np
from aeon.classification.convolution_based import MiniRocketClassifier
from aeon.classification.convolution_based import MultiRocketHydraClassifier

CLASSIFIERS = {
    "minirocket": MiniRocketClassifier,
    "hydra": MultiRocketHydraClassifier,
}


def weights(model):
    """Numbers of the linear classifier; the kernels are few beside it."""
    for part in (model, *vars(model).values()):
        coefficients = getattr(part, "coef_", None)
        if coefficients is None and hasattr(part, "steps"):
            coefficients = getattr(part.steps[-1][1], "coef_", None)
        if coefficients is not None:
            return coefficients.size
    return 0


def main(source, target, name):
    with np.load(source) as file:
        arrays = dict(file)
    # Cases, channels, time.
    x = np.ascontiguousarray(arrays["x"].transpose(0, 2, 1), "float64")
    y, fold, seed = arrays["y"], arrays["fold"], int(arrays["seed"])
    predicted = np.zeros(len(y), int)
    begun = time.process_time()
    for k in np.unique(fold):
        model = CLASSIFIERS[name](random_state=seed)
        model.fit(x[fold != k], y[fold != k])
        predicted[fold == k] = model.predict(x[fold == k])
    minutes = (time.process_time() - begun) / 60 / len(np.unique(fold))
    times = []
    for _ in range(51):
        start = time.perf_counter()
        model.predict(x[:1])
        times.append(time.perf_counter() - start)
    numbers = weights(model)
    latency = 1e3 * float(np.median(times[1:]))
    costs = [numbers, 8 * numbers, minutes, latency]
    np.savez(target, predicted=predicted, costs=costs)


if __name__ == "__main__":
    main(*sys.argv[1:])
