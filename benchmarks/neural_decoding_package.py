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
    """Fit to training bins laid end to end, and decode such ones."""

    def shifted(part):
        bins = arrays[f"bins_{part}"]
        stop = len(bins) - lag
        return arrays["counts"][bins[:stop]], arrays["states"][bins[lag:]]

    model = KalmanFilterRegression(C=1)
    model.fit(*shifted("train"))
    decoded = np.zeros_like(arrays["states"])
    for part in PARTS:
        # It begins at the true state of the first bin.
        decoded[arrays[f"bins_{part}"][lag:]] = model.predict(*shifted(part))
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
