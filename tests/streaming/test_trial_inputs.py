import keras
import numpy as np
import pytest

from keras_seqattn.streaming import trial_inputs


def test_positive_numbers_and_both_values_of_others():
    random = np.random.default_rng(0)
    x = trial_inputs.draw_positive(random, (50, 3), "bfloat16")
    assert x.shape == (50, 3) and x.dtype == "float32"
    assert 0.1 <= x.min() < 0.2 and 0.8 < x.max() <= 0.9
    flags = trial_inputs.draw_positive(random, (50,), bool)
    assert flags.tolist().count(0) + flags.tolist().count(1) == 50
    assert 10 < flags.sum() < 40


def test_mask_values_of_nested_layers_and_of_ones_own():
    class Own(keras.layers.Layer):
        def __init__(self, mask_value):
            super().__init__()
            self.mask_value = mask_value

    inner = keras.Sequential([keras.layers.Masking(-1), Own(np.float32(3))])
    model = keras.Sequential([inner, Own(None), Own("text"), Own(np.ones(2))])
    assert sorted(trial_inputs.mask_values(model)) == [-1.0, 3.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_all_finite(bad):
    half = keras.ops.convert_to_tensor([1.0, 2.0], "bfloat16")
    good = [np.ones(3), keras.ops.convert_to_numpy(half), np.arange(2)]
    assert trial_inputs.all_finite(good)
    assert not trial_inputs.all_finite([*good, np.array([1.0, bad])])


@pytest.mark.parametrize(
    ("model", "hides"),
    [
        (lambda x, flag: [x + flag], False),
        (lambda x, flag: [np.where(np.sqrt(x) > 0, x, 0.0)], True),
        (lambda x, flag: [x, 2 * flag], True),  # One of two outputs.
    ],
)
def test_a_negative_number_that_is_a_nan_and_does_not_come_out(model, hides):
    inputs = [np.array([-1.0, 4.0]), np.array([1, 0])]
    with np.errstate(invalid="ignore"):
        outputs = model(*inputs)
        found = trial_inputs.hides_nan(lambda x: model(*x), inputs, outputs)
    assert found == hides
