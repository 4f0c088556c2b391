"""Layers of random settings give the same numbers on every backend.

The reference is a file of float64 numbers, so each backend is tested without
another one. More settings, or others, whose reference a process with
TensorFlow computes first:

    RANDOM_SETTINGS=400 RANDOM_SETTINGS_SEED=7 KERAS_BACKEND=jax \
        python -m pytest tests/layers/test_random_settings.py
"""

import collections
import os
import subprocess
import sys

import numpy as np
import pytest

from keras_seqattn.layers import LARNN
from tests.golden.make_random_settings import FILE
from tests.layers import random_settings
from tests.layers.random_settings import KINDS

COUNT = int(os.environ.get("RANDOM_SETTINGS", random_settings.COUNT))
SEED = int(os.environ.get("RANDOM_SETTINGS_SEED", random_settings.SEED))


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    file = FILE
    if SEED != random_settings.SEED or COUNT > random_settings.COUNT:
        file = tmp_path_factory.mktemp("reference") / "reference.npz"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tests.golden.make_random_settings"),
                *("--count", str(COUNT), "--seed", str(SEED)),
                *("--file", str(file)),
            ],
            env={**os.environ, "KERAS_BACKEND": "tensorflow"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    with np.load(file) as arrays:
        return dict(arrays)


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, id=f"{KINDS[number % len(KINDS)]}-{number}")
        for number in range(COUNT)
    ],
)
def test_same_numbers_as_the_reference(number, expected):
    setting = random_settings.draw(number, SEED)
    assert random_settings.drawn(setting) == expected[f"{number}/drawn"], (
        "NumPy draws other numbers than when the reference was written: write "
        "it anew, python -m tests.golden.make_random_settings"
    )
    found = random_settings.results(setting)
    wanted = expected[f"{number}"]
    assert np.isfinite(wanted).all() and np.ptp(wanted) > 1e-3, setting
    check(found, wanted, setting)
    if setting.mask is not None:
        assert np.all(found[-1][~setting.mask] == 0), setting
    if setting.kind == "larnn_cell":
        layer = random_settings.results(setting, make=LARNN)
        if setting.options["return_state"]:
            # Whether the newest slot holds a cell: nobody reads it.
            for both in (layer, found):
                both[-2] = both[-2][:, :-1]
        check(layer, flat(found), setting)


def flat(arrays):
    return np.concatenate([x.ravel() for x in arrays])


def check(found, expected, setting):
    np.testing.assert_allclose(
        flat(found), expected, rtol=1e-4, atol=1e-4, err_msg=str(setting)
    )


def test_each_layer_meets_each_mask():
    met = collections.defaultdict(set)
    for number in range(random_settings.COUNT):
        setting = random_settings.draw(number)
        met[setting.kind].add(setting.mask_kind)
        if setting.mask is None:
            continue
        rows = setting.mask.any(axis=1)
        assert setting.mask.all() or setting.mask_kind != "all true"
        missing = setting.mask_kind == "a row all false"
        assert len(rows) - rows.sum() == missing and rows.any()
    assert met.pop("burst") == {"none"}
    for masks in met.values():
        assert masks == set(random_settings.MASKS)
