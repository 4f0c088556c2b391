"""The package `neural-decoding`, run by a Python of its own.

python neural_decoding_package.py arrays.npz decoded.npz [--xgboost]

For `decoding_peers.py`. Needs NumPy and scikit-learn beside the package; its
networks want a Keras of before 2018 and are not touched. What it reads and
writes are plain arrays.
"""

import sys

import numpy as np
from Neural_Decoding.decoders import KalmanFilterRegression
from Neural_Decoding.decoders import WienerCascadeRegression
from Neural_Decoding.decoders import WienerFilterRegression

PARTS = ("validation", "test")


def kalman(arrays, lag):
    """Fit to training bins one after another, decode run by run."""
    counts, states = arrays["counts"], arrays["states"]

    def shifted(part):
        for start, stop in arrays[f"runs_{part}"]:
            if stop - start > lag + 1:
                yield (
                    counts[start : stop - lag],
                    states[start + lag : stop],
                    slice(start + lag, stop),
                )

    z, x, _ = zip(*shifted("train"), strict=True)
    model = KalmanFilterRegression(C=1)
    model.fit(np.concatenate(z), np.concatenate(x))
    decoded = np.zeros_like(states)
    for part in PARTS:
        for z, x, bins in shifted(part):
            # It begins at the first row: here at the mean, not at the truth.
            decoded[bins] = model.predict(z, np.zeros_like(x))
    return decoded


def main(source, target, *options):
    with np.load(source) as file:
        arrays = dict(file)
    models = {
        "Wiener filter": WienerFilterRegression(),
        "Wiener cascade": WienerCascadeRegression(degree=3),
    }
    if "--xgboost" in options:
        from Neural_Decoding.decoders import XGBoostRegression

        models["XGBoost"] = XGBoostRegression()
    decoded = {}
    for name, model in models.items():
        model.fit(arrays["x_train"], arrays["y_train"])
        for part in PARTS:
            decoded[f"{name}|{part}"] = model.predict(arrays[f"x_{part}"])
    for lag in arrays["lags"]:
        decoded[f"Kalman filter|{lag}"] = kalman(arrays, int(lag))
    np.savez(target, **decoded)


if __name__ == "__main__":
    main(*sys.argv[1:])
