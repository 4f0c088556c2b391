"""One mechanism a kind of argument, whichever door it comes through."""

import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn import _checks
from keras_seqattn import layers
from keras_seqattn import models
from keras_seqattn.windows import SignalOptions
from keras_seqattn.windows import WindowBatches
from keras_seqattn.windows import window_ends
from keras_seqattn.windows.labels import class_codes

X = np.zeros((4, 2, 3))


def neuron(**options):
    return layers.GainModulatedNeuron(2, 3, **options)


@pytest.mark.parametrize(
    ("value", "expected"), [(1, 1), (1.0, 1), (np.float32(1), 1), ("a", "a")]
)
def test_a_choice_is_returned_as_it_was_offered(value, expected):
    found = _checks.check_choice("lag", value, (0, 1, "a"))
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize("value", [True, 2, "1", None, [1], np.ones(3), {}])
def test_what_is_no_choice(value):
    with pytest.raises(ValueError, match="`lag` must be one of"):
        _checks.check_choice("lag", value, (0, 1, "a"))


@pytest.mark.parametrize("value", ["false", 0, None, np.zeros(2)])
@pytest.mark.parametrize(
    ("name", "door"),
    [
        ("signed", neuron),
        ("use_bias", neuron),
        ("unit_forget_bias", neuron),
        ("shared_controller", neuron),
        ("normalize", layers.TemporalAttention),
        ("use_score_bias", layers.TemporalAttention),
        ("use_positional_encoding", lambda **k: layers.LARNN(4, 2, 3, **k)),
        ("unit_forget_bias", lambda **k: layers.LARNN(4, 2, 3, **k)),
        ("recurrent", lambda **k: layers.BurstPropDense(2, **k)),
        ("stateful", lambda **k: models.BurstPropNetwork([2], **k)),
        ("bidirectional", lambda **k: models.build_neural_decoder(2, 3, **k)),
        (
            "residual",
            lambda **k: models.build_activity_classifier(8, 3, 2, **k),
        ),
        ("gravity", SignalOptions),
        ("copy_cue", ks.tasks.CueAssociation),
        ("shuffle", lambda **k: WindowBatches(X, np.zeros(4), **k)),
        ("drop_remainder", lambda **k: WindowBatches(X, np.zeros(4), **k)),
        ("one_hot", lambda **k: class_codes(["a"], **k)),
        (
            "look_ahead",
            lambda **k: ks.decoding.Recording.from_spike_times(
                [[0.1]],
                [0, 1, 2],
                [0, 1, 2],
                bin_width=0.1,
                quantity="velocity",
                **k,
            ),
        ),
    ],
)
def test_a_flag_is_true_or_false(name, door, value):
    with pytest.raises(ValueError, match=f"`{name}` must be True or False"):
        door(**{name: value})


@pytest.mark.parametrize("seed", ["0", 0.5, -1, b"a"])
@pytest.mark.parametrize(
    "door",
    [
        lambda seed: ks.tasks.CueRecall().sample(2, seed),
        lambda seed: ks.tasks.CueRecall().test_cases(seed),
        lambda seed: ks.tasks.additive_task().sample(2, seed),
        lambda seed: ks.tasks.additive_task().test_cases(seed),
        lambda seed: ks.tasks.XorSequences(steps=50).sample(2, seed),
        lambda seed: ks.tasks.simulated_reaching(50, seed=seed),
        lambda seed: ks.tasks.simulated_days(2, bins=50, seed=seed),
    ],
)
def test_a_seed_is_what_numpy_takes(door, seed):
    with pytest.raises(ValueError, match="`seed` must be"):
        door(seed)


@pytest.mark.parametrize(
    "wrong",
    [
        np.ones((4, 2)) + 1j,
        np.ones((4, 2)).astype(str),
        np.ma.array(np.ones((4, 2)), mask=np.eye(4, 2)),
        [[1, 2], [3]],
        {"a": 1},
    ],
)
def test_what_is_no_array_of_numbers(wrong):
    y = np.arange(4) % 2
    batch = ks.tasks.CueRecall().test_cases()
    for door in (
        ks.windows.Standardizer.fit,
        lambda x: ks.learning_rules.LabelledImages(x, y, x, y),
        lambda x: ks.tasks.CueRecall().correct(x, batch),
        lambda x: ks.tasks.accuracy_by_delay(y > 0, y, x),
        lambda x: ks.decoding.recommend_timesteps(lambda k: x, 2, 3),
    ):
        with pytest.raises(
            ValueError, match=r"must (not be masked|be an|hold)"
        ):
            door(wrong)


def test_numbers_are_numbers():
    for tolerance in ("0.01", True, np.nan, -1):
        with pytest.raises(ValueError, match="`tolerance` must be"):
            ks.decoding.recommend_timesteps(float, 2, 3, tolerance)
    for segment in (0, None, [[0, 1]], 1j):
        with pytest.raises(ValueError, match="`segment` must"):
            window_ends(segment, 2)
    np.testing.assert_array_equal(window_ends(["a", "a", "b", "b"], 2), [1, 3])


@pytest.mark.parametrize("modulated", [0.5, [], [[]], ["gain", "gain"], ["n"]])
def test_modulated_parameters(modulated):
    with pytest.raises(ValueError, match="`modulated` must"):
        neuron(modulated=modulated)


@pytest.mark.parametrize("values", [1.0, ["gain"], "gain"])
def test_resting_values(values):
    with pytest.raises(ValueError, match="`resting_values` must"):
        neuron(resting_values=values)


@pytest.mark.parametrize("value", [1e300, 10**40, np.inf, np.nan, "1", True])
@pytest.mark.parametrize(
    "check",
    [
        _checks.check_finite_number,
        _checks.check_positive_number,
        _checks.check_non_negative_number,
    ],
)
def test_a_number_is_finite_in_float32(check, value):
    assert check("noise", 3e38) == 3e38
    with pytest.raises(ValueError, match="`noise` must be a finite number"):
        check("noise", value)


@pytest.mark.parametrize("task", [ks.tasks.CueRecall, ks.tasks.CueAssociation])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cue_step": 10**30}, "`cue_step` must be below"),
        ({"delay_range": (1, 2**40)}, "`delay_range` must be two integers"),
        ({"post_steps": 2**31}, "fewer than 2\\*\\*31 steps"),
        ({"amplitude": 1e300}, "`amplitude` must be a finite number"),
    ],
)
def test_sizes_that_no_sequence_has(task, settings, message):
    with pytest.raises(ValueError, match=message):
        task(**settings)


def test_a_large_integer_is_a_number():
    batch = ks.tasks.CueRecall(amplitude=10**30).sample(20, seed=0)
    assert batch.y.max() == np.float32(1e30)


def test_windows_are_finite():
    x, y = np.zeros((3000, 2, 1)), np.zeros((3000, 2))
    assert len(WindowBatches(x, y)) == 47
    x[2500, 1, 0] = np.nan
    with pytest.raises(ValueError, match=r"`x` must hold finite .* from 2048"):
        WindowBatches(x, y)
    with pytest.raises(ValueError, match=r"`y` must hold finite .* from 2048"):
        WindowBatches(y, x)
