import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.model_selection import GroupKFold
from sklearn.model_selection import cross_val_predict
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from keras_seqattn import activity
from keras_seqattn.activity import ActivityEstimator
from keras_seqattn.activity import Recipe
from keras_seqattn.export import preprocessing_of

RNG = np.random.default_rng(3)
NAMES = np.array(["sit", "walk", "run"])
CODE = np.arange(150) % 3
Y = NAMES[CODE]
X = (RNG.normal(size=(150, 6, 2)) + 2.5 * CODE[:, None, None]) * [1, 50]
GROUPS = np.arange(150) // 30
RECIPE = Recipe(epochs=8, batch_size=16, learning_rate=0.1)


def build(timesteps, channels, classes, cell):
    return keras.Sequential(
        [
            keras.Input((timesteps, channels)),
            keras.layers.GlobalAveragePooling1D(),
            *[keras.layers.Dense(8, "relu")] * (cell == "wide"),
            keras.layers.Dense(classes, "softmax"),
        ]
    )


def negative(x):
    return -x


@pytest.fixture(scope="module")
def fitted():
    return ActivityEstimator(build, RECIPE, cell="wide").fit(X, Y)


def test_labels_probabilities_and_score(fitted):
    assert fitted.classes_.tolist() == ["run", "sit", "walk"]
    found = fitted.predict_proba(X)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(
        fitted.model_.predict(X, verbose=0), found, rtol=1e-4, atol=1e-6
    )
    predicted = fitted.predict(X)
    assert predicted.tolist() == fitted.classes_[found.argmax(1)].tolist()
    assert fitted.score(X, Y) == np.mean(predicted == Y) > 0.9
    assert preprocessing_of(fitted.model_).classes == ("run", "sit", "walk")


def test_it_is_the_final_training():
    windows = activity.ActivityWindows(
        x=X,
        y=CODE,
        subject=GROUPS,
        classes=("a", "b", "c"),
        channels=("x", "y"),
        rate=1,
    )
    settings = {"cell": "wide", "seed": 5}
    model = activity.train_final(windows, build, RECIPE, verbose=0, **settings)
    estimator = ActivityEstimator(build, RECIPE, **settings).fit(X, CODE)
    assert estimator.classes_.tolist() == [0, 1, 2]
    np.testing.assert_allclose(
        estimator.predict_proba(X),
        model.predict(windows.x, verbose=0),
        rtol=1e-4,
        atol=1e-6,
    )
    assert estimator.predict(X).dtype == CODE.dtype


def test_folds_by_group():
    estimator = ActivityEstimator(build, RECIPE)
    folds = {"groups": GROUPS, "cv": GroupKFold(2)}
    scores = cross_val_score(estimator, X, Y, **folds)
    predicted = cross_val_predict(estimator, X, Y, **folds)
    expected = [
        np.mean(predicted[own] == Y[own])
        for _, own in GroupKFold(2).split(X, Y, GROUPS)
    ]
    np.testing.assert_allclose(scores, expected)
    assert min(scores) > 0.85


def test_clone_search_and_pickle(fitted):
    again = clone(fitted)
    assert not hasattr(again, "model_")
    with pytest.raises(NotFittedError):
        again.predict(X)
    assert again.get_params() == {
        "build": build,
        "recipe": RECIPE,
        "cell": "wide",
        "seed": 0,
        "verbose": 0,
    }
    search = GridSearchCV(again, {"cell": ["plain", "wide"]}, cv=2)
    search.fit(X, Y)
    assert search.best_params_["cell"] in ("plain", "wide")
    loaded = pickle.loads(pickle.dumps(fitted))  # noqa: S301
    np.testing.assert_allclose(
        loaded.predict_proba(X), fitted.predict_proba(X), rtol=1e-5, atol=1e-6
    )


def test_in_a_pipeline():
    """Whose transformer is applied in `predict`, too."""
    pipe = make_pipeline(
        FunctionTransformer(negative), ActivityEstimator(build, RECIPE)
    ).fit(-X, Y)
    direct = ActivityEstimator(build, RECIPE).fit(X, Y)
    np.testing.assert_allclose(
        pipe.predict_proba(-X), direct.predict_proba(X), rtol=1e-5, atol=1e-6
    )
    scores = cross_val_score(pipe, -X, Y, groups=GROUPS, cv=GroupKFold(2))
    assert min(scores) > 0.85


def test_class_weights_help_the_rare():
    """One of twenty, and near the others: nobody says it unless it counts."""
    rng = np.random.default_rng(0)
    y = (np.arange(400) % 20 == 0).astype(int)
    x = rng.normal(size=(400, 6, 2)) + 0.5 * y[:, None, None]
    recall = {}
    for weights in (None, "balanced", [1, 19]):
        recipe = Recipe(
            epochs=10, batch_size=50, learning_rate=0.1, class_weights=weights
        )
        predicted = ActivityEstimator(build, recipe).fit(x, y).predict(x)
        recall[str(weights)] = np.mean(predicted[y == 1])
    assert min(recall["balanced"], recall["[1, 19]"]) > recall["None"] + 0.2
    # 400 / (2 * 20) against 400 / (2 * 380): the same 19 to 1.
    found = Recipe(class_weights="balanced").class_weight(y, 2)
    assert found[1] / found[0] == pytest.approx(19)


def test_the_default_model():
    recipe = Recipe(epochs=1, batch_size=32)
    estimator = ActivityEstimator(recipe=recipe, cell="lstm").fit(X, Y)
    names = [layer.name for layer in estimator.model_.layers[-1].layers]
    assert "lstm_0" in names
    assert estimator.predict(X[:3]).shape == (3,)


@pytest.mark.parametrize(
    "x, y, message",
    [
        (X[0], Y, r"`x` must hold numbers in the shape \(windows, timesteps"),
        (X, Y[1:], "one entry a window, 150 of them"),
        (np.where(CODE[:, None, None], X, np.nan), Y, "`x` must be finite"),
        (X, ["sit"] * 150, "`classes` must name at least two"),
        (X, RNG.normal(size=150), "Unknown label type"),
    ],
)
def test_bad_windows(x, y, message):
    with pytest.raises(ValueError, match=message):
        ActivityEstimator(build, RECIPE).fit(x, y)


def test_other_windows_than_those_trained_on(fitted):
    with pytest.raises(ValueError, match=r"\('windows', 6, 2\). Received: X.s"):
        fitted.predict(X[:, :5])
    with pytest.raises(ValueError, match="`X` must be finite"):
        fitted.predict(X * np.nan)


WITHOUT = """
import sys
sys.modules["sklearn"] = None
from keras_seqattn import activity
activity.classify_recordings
try:
    activity.ActivityEstimator
except ImportError as error:
    print(error)
"""


def test_scikit_learn_is_an_extra():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("`ActivityEstimator` needs scikit-learn: pip")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        activity.nothing  # noqa: B018
