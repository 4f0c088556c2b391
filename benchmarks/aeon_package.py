"""The package `aeon`, run by a Python of its own.

python aeon_package.py arrays.npz found.npz

For `activity_peers.py`. What it reads and writes are plain arrays.
"""

import sys
import time

import numpy as np
from aeon.classification.convolution_based import MiniRocketClassifier
from aeon.classification.convolution_based import MultiRocketHydraClassifier

CLASSIFIERS = {
    "MiniRocket, ridge": MiniRocketClassifier,
    "MultiRocket-Hydra, ridge": MultiRocketHydraClassifier,
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


def main(source, target):
    with np.load(source) as file:
        arrays = dict(file)
    # Cases, channels, time.
    x = np.ascontiguousarray(arrays["x"].transpose(0, 2, 1), "float64")
    y, fold, seeds = arrays["y"], arrays["fold"], arrays["seeds"]
    found = {}
    for name, classifier in CLASSIFIERS.items():
        predicted = np.zeros((len(seeds), len(y)), int)
        begun = time.process_time()
        for own, seed in zip(predicted, seeds, strict=True):
            for k in np.unique(fold):
                model = classifier(random_state=int(seed))
                model.fit(x[fold != k], y[fold != k])
                own[fold == k] = model.predict(x[fold == k])
        trainings = len(seeds) * len(np.unique(fold))
        minutes = (time.process_time() - begun) / 60 / trainings
        times = []
        for _ in range(51):
            start = time.perf_counter()
            model.predict(x[:1])
            times.append(time.perf_counter() - start)
        latency = 1e3 * float(np.median(times[1:]))
        found[f"{name}|predicted"] = predicted
        numbers = weights(model)
        found[f"{name}|costs"] = [numbers, 8 * numbers, minutes, latency]
        np.savez(target, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
