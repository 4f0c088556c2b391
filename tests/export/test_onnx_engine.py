import functools
import importlib.util

import keras
import numpy as np
import pytest
from keras import layers

import keras_seqattn as ks

pytestmark = [
    pytest.mark.process,
    pytest.mark.nan,
    pytest.mark.skipif(
        importlib.util.find_spec("onnxruntime") is None,
        reason="needs onnxruntime",
    ),
]
RNG = np.random.default_rng(0)
SPIKES, CURSOR = RNG.normal(size=(40, 2, 3)), RNG.normal(size=(40, 2, 1))


def two_inputs():
    spikes = keras.Input((None, 3), name="spikes")
    cursor = keras.Input((None, 1), name="cursor")
    both = layers.Concatenate()([spikes, cursor])
    larnn = ks.layers.LARNN(4, 2, 5, return_sequences=True, name="larnn")
    states = larnn(both)
    # A name that an artifact cannot have.
    velocity = layers.Dense(2, name="velocity-xy")(states)
    return keras.Model([spikes, cursor], [states, velocity])


@functools.cache
def made():
    """Not a fixture of the module: those are made before the mark counts."""
    step = ks.streaming.step_model(two_inputs())
    engine = ks.export.onnx_engine
    return step, ks.streaming.StreamingSession(step, 2, engine=engine)


@pytest.fixture
def step():
    return made()[0]


@pytest.fixture
def session():
    return made()[1]


def pushed(session, steps, mask=None):
    return [
        session.push({"spikes": SPIKES[t], "cursor": CURSOR[t]}, mask)
        for t in steps
    ]


def assert_near(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name, value in other.items():
            assert one[name].shape == value.shape
            np.testing.assert_allclose(one[name], value, atol=1e-5)


def test_is_the_session_of_the_backend(step, session, tmp_path):
    other = ks.streaming.StreamingSession(step, 2)
    assert session.fingerprint == other.fingerprint
    for a_session in (session, other):
        a_session.reset()
    half = np.array([True, False])
    assert_near(pushed(session, range(9)), pushed(other, range(9)))
    assert_near(pushed(session, (9, 10), half), pushed(other, (9, 10), half))
    assert_near([session.push(None)], [other.push(None)])
    for a_session in (session, other):
        a_session.reset(1)
    assert_near(pushed(session, range(5)), pushed(other, range(5)))
    # Each goes on where the other was.
    session.save(tmp_path / "session.npz")
    other.save(tmp_path / "other.npz")
    session.load(tmp_path / "other.npz")
    other.load(tmp_path / "session.npz")
    assert_near(pushed(session, range(20)), pushed(other, range(20)))


def test_arrays_are_the_persons_own(session):
    session.reset()
    state, (first,) = session.state_dict(), pushed(session, [0])
    kept = {name: value.copy() for name, value in first.items()}
    pushed(session, range(1, 4))
    for name, value in kept.items():
        np.testing.assert_array_equal(first[name], value)
        first[name][:] = 99
    assert not any(v.any() for k, v in state.items() if k != "fingerprint")
    session.load_state_dict(state)
    (again,) = pushed(session, [0])
    for name, value in kept.items():
        np.testing.assert_array_equal(again[name], value)


def test_refused_steps_change_nothing(session):
    pushed(session, range(3))
    state = session.state_dict()
    for x in (SPIKES[0], {"spikes": SPIKES[0] * np.nan, "cursor": CURSOR[0]}):
        with pytest.raises(ValueError, match=r"Expected|must be finite"):
            session.push(x)
    for name, value in session.state_dict().items():
        np.testing.assert_array_equal(value, state[name])


def test_half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    step = ks.streaming.step_model(two_inputs())
    engine = functools.partial(ks.export.onnx_engine, tolerance=3e-2)
    session = ks.streaming.StreamingSession(step, 2, engine=engine)
    other = ks.streaming.StreamingSession(step, 2)
    for one, two in zip(
        pushed(session, range(9)), pushed(other, range(9)), strict=True
    ):
        for name, value in two.items():
            assert one[name].dtype == value.dtype == "float16"
            np.testing.assert_allclose(one[name], value, atol=2e-2)
    keras.config.set_dtype_policy("mixed_bfloat16")
    with pytest.raises(ValueError, match="does not compute in bfloat16"):
        ks.streaming.StreamingSession(
            ks.streaming.step_model(two_inputs()), engine=ks.export.onnx_engine
        )
