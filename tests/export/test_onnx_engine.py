import keras
import numpy as np
import pytest

from keras_seqattn import layers
from keras_seqattn.export import onnx_engine
from keras_seqattn.streaming import StreamingSession
from keras_seqattn.streaming import step_model

STEPS, STREAMS, FEATURES = 12, 3, 4


@pytest.fixture(scope="module")
def sessions():
    keras.utils.set_random_seed(0)
    signal = keras.Input((None, FEATURES), name="signal")
    larnn = layers.LARNN(6, num_heads=2, window_size=3, name="larnn")
    states = keras.layers.GRU(5, return_sequences=True, name="gru")(signal)
    step = step_model(keras.Model(signal, {"a": larnn(signal), "b": states}))
    compiled = StreamingSession(step, STREAMS)
    return compiled, StreamingSession(step, STREAMS, engine=onnx_engine)


def test_the_same_numbers(sessions, tmp_path):
    compiled, exported = sessions
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS, STREAMS, FEATURES)).astype("float32")
    present = rng.random((STEPS, STREAMS)) < 0.8
    x[~present] = np.nan

    def both(t):
        found = exported.push(x[t], present[t])
        for name, expected in compiled.push(x[t], present[t]).items():
            np.testing.assert_allclose(found[name], expected, atol=1e-5)
        kept = {name: value.copy() for name, value in found.items()}
        for value in found.values():
            value[...] = 7  # They are the caller's own.
        return kept

    first = [both(t) for t in range(6)]
    # Each goes on from the other's file.
    for session in sessions:
        session.save(tmp_path / f"{session is exported}.npz")
    for session in sessions:
        session.load(tmp_path / f"{session is compiled}.npz")
    with pytest.raises(ValueError, match="must be finite"):
        exported.push(np.full((STREAMS, FEATURES), np.nan))
    for session in sessions:
        session.reset(1)
    for t in range(6, STEPS):
        both(t)
    # From anew the same, and what was given out stayed as it was.
    for session in sessions:
        session.reset()
    for t, expected in enumerate(first):
        for name, value in both(t).items():
            np.testing.assert_array_equal(value, expected[name])
