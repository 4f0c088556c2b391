"""A simple classifier: what any network has to beat."""

import importlib
import warnings

import numpy as np

from keras_seqattn.learning_rules.images.data import LabelledImages


def logistic_error(images: LabelledImages) -> float:
    """Test error, in 0 .. 1, of logistic regression on the pixels.

    The penalty is chosen on the validation part, among four powers of ten.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    try:
        linear_model = importlib.import_module("sklearn.linear_model")
    except ImportError as missing:
        raise ImportError(
            "Logistic regression needs scikit-learn: pip install scikit-learn"
        ) from missing

    def error(part: LabelledImages, strength: float) -> float:
        model = linear_model.LogisticRegression(C=strength, max_iter=100)
        with warnings.catch_warnings():
            # A few steps short of the optimum, the score is the same.
            warnings.filterwarnings(
                "ignore", message="lbfgs failed to converge"
            )
            model.fit(part.x_train, part.y_train)
        return float(np.mean(model.predict(part.x_test) != part.y_test))

    chosen = images.hold_out()
    best = min((0.01, 0.1, 1.0, 10.0), key=lambda c: error(chosen, c))
    return error(images, best)
