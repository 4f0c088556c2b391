import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import zipfile

import keras
import numpy as np
import pytest
from keras import layers

from keras_seqattn.streaming import StreamingSession
from keras_seqattn.streaming import step_model
from tests.backend import OTHER_BACKENDS
from tests.streaming import cases

# Where JAX looks for NaN it donates no memory, as it does at a user's.
pytestmark = pytest.mark.nan

FEATURES = cases.FEATURES
STREAMS, STEPS, MISSING = 64, 10_000, 2_000
LATE = STEPS - 50


@pytest.fixture(scope="module")
def long_run(tmp_path_factory):
    """All causal models at once: saved and loaded twice in 10,000 steps."""
    folder = tmp_path_factory.mktemp("session")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STREAMS, STEPS, FEATURES)).astype("float32")
    mask = np.stack(
        [rng.permutation(np.arange(STEPS) >= MISSING) for _ in range(STREAMS)]
    )
    x[~mask] = np.nan
    models = {name: cases.make(build) for name, build in cases.LONG.items()}
    inputs = keras.Input((None, FEATURES), name="signal")
    outputs = {name: model(inputs) for name, model in models.items()}
    step = step_model(keras.Model(inputs, outputs))
    step.save(folder / "step.keras")
    np.savez(folder / "steps.npz", x=x[:, LATE:], mask=mask[:, LATE:])
    session = StreamingSession(step, STREAMS)
    found = []
    for t in range(STEPS):
        if t in (STEPS // 2, LATE):
            session.save(folder / "state.npz")
        if t == STEPS // 2:
            session = StreamingSession(step, STREAMS)
            session.load(folder / "state.npz")
        found.append(session.push(x[:, t], mask[:, t]))
    streamed = {
        name: np.stack([outputs[name] for outputs in found], axis=1)
        for name in models
    }
    return folder, x, mask, models, streamed


@pytest.mark.process
@pytest.mark.parametrize("name", cases.LONG)
def test_equals_the_model_over_10_000_steps_of_64_streams(long_run, name):
    _, x, mask, models, streamed = long_run
    # As many steps are there in each stream.
    kept = x[mask].reshape(STREAMS, STEPS - MISSING, FEATURES)
    expected = models[name].predict(kept, batch_size=STREAMS, verbose=0)
    found = streamed[name][mask].reshape(expected.shape)
    assert np.ptp(expected[:, -100:], axis=1).min() > 1e-3
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.process
def test_goes_on_in_another_process_on_another_backend(long_run):
    folder, *_, streamed = long_run
    done = subprocess.run(
        [sys.executable, "-m", "tests.streaming.continue_session", folder],
        env={**os.environ, "KERAS_BACKEND": OTHER_BACKENDS[0]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with np.load(folder / "outputs.npz") as found:
        for name, expected in streamed.items():
            np.testing.assert_allclose(
                found[name], expected[:, LATE:], atol=1e-5
            )


@pytest.fixture(scope="module")
def model():
    return cases.make(cases.gru)


@pytest.fixture(scope="module")
def step(model):
    return step_model(model)


@pytest.fixture(scope="module")
def single(step):
    return StreamingSession(step)


@pytest.fixture(scope="module")
def double(step):
    return StreamingSession(step, batch=2)


@pytest.fixture(autouse=True)
def fresh(request):
    for name in ("single", "double"):
        if name in request.fixturenames:
            request.getfixturevalue(name).reset()


X = np.random.default_rng(3).normal(size=(7, FEATURES)).astype("float32")


def test_a_step_with_and_without_a_batch_axis(single, double):
    one = single.push(X[0])
    single.reset()
    many = single.push(X[:1])
    assert one.shape == (2,) and many.shape == (1, 2)
    np.testing.assert_array_equal(one, many[0])
    assert single.push(None).shape == (2,)
    assert double.push(X[:2]).shape == (2, 2)
    assert double.push(None).shape == (2, 2)
    np.testing.assert_allclose(single.push([0, 1, 2]).shape, (2,))


def test_streams_are_independent(single, double):
    alone = [single.push(x) for x in X]
    both = [double.push(np.stack([x, 5 * x])) for x in X]
    np.testing.assert_allclose([y[0] for y in both], alone, atol=1e-6)


def test_reset(single, double):
    first = single.push(X[0])
    assert np.abs(single.push(X[0]) - first).max() > 1e-4
    single.reset()
    np.testing.assert_array_equal(single.push(X[0]), first)
    for x in X:
        double.push(np.stack([x, x]))
    double.reset(stream=1)
    begun, anew = double.push(np.stack([X[0], X[0]]))
    np.testing.assert_allclose(anew, first, atol=1e-6)
    assert np.abs(begun - first).max() > 1e-4
    with pytest.raises(ValueError, match=r"one of 2 streams.*stream=2"):
        double.reset(2)


def test_a_missing_step_changes_nothing(double):
    before = double.push(X[:2])
    state = double.state_dict()
    garbage = np.full((2, FEATURES), np.nan)
    for missing in (double.push(None), double.push(garbage, [False, False])):
        np.testing.assert_array_equal(missing, before)
    after = double.state_dict()
    for name, value in state.items():
        np.testing.assert_array_equal(after[name], value)
    garbage[1] = X[2]
    one = double.push(garbage, np.array([False, True]))
    np.testing.assert_array_equal(one[0], before[0])
    assert np.abs(one[1] - before[1]).max() > 1e-4


def test_the_output_is_the_persons_own(step):
    for session in (
        StreamingSession(step),
        StreamingSession(
            step_model(cases.sequential(layers.GRU(3)), mask=False)
        ),
    ):
        output = session.push(X[0])
        state = session.state_dict()
        output[:] = 99
        for name, value in session.state_dict().items():
            np.testing.assert_array_equal(value, state[name])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_numbers_that_are_not_finite_are_refused(double, value):
    state = double.state_dict()
    x = X[:2].astype("float64")
    x[1, 0] = value
    with pytest.raises(ValueError, match=r"(?s)push `None`.*in stream 1"):
        double.push(x)
    with pytest.raises(ValueError, match="in stream 1"):
        double.push(x, mask=np.array([False, True]))
    for name, kept in double.state_dict().items():
        np.testing.assert_array_equal(kept, state[name])
    double.push(x, mask=np.array([True, False]))


@pytest.mark.parametrize(
    "wrong",
    [
        np.ma.array(np.ones((2, FEATURES)), mask=np.eye(2, FEATURES)),
        np.ones((2, FEATURES)) + 0j,
        np.ones((2, FEATURES), "int64").astype("M8[s]"),
        np.ones((2, FEATURES)).astype(str),
        [[1.0] * FEATURES, [1.0]],
    ],
)
def test_what_is_no_array_of_numbers_is_refused(double, wrong):
    before = double.state_dict()
    with pytest.raises(ValueError, match=r"must (not be masked|hold|be an)"):
        double.push(wrong)
    for name, value in double.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_states_taken_out_are_the_persons_own(single, step):
    """A step may write where the states before it were."""
    other = StreamingSession(step)
    taken = []
    for x in X:
        single.push(x)
        other.push(x)
        taken.append(single.state_dict())
    kept = [{k: np.array(v) for k, v in state.items()} for state in taken]
    for x in X:
        np.testing.assert_array_equal(single.push(x), other.push(x))
    for state, before in zip(taken, kept, strict=True):
        for name, value in before.items():
            np.testing.assert_array_equal(state[name], value)
    # Nor does it write into those that were given.
    single.load_state_dict(taken[0])
    for x in X:
        single.push(x)
    single.reset()
    for name, value in kept[0].items():
        np.testing.assert_array_equal(taken[0][name], value)
        if name != "fingerprint":
            assert not single.state_dict()[name].any()


def test_ctrl_c_leaves_a_session_after_a_step_or_before_it(step):
    session, other = StreamingSession(step), StreamingSession(step)
    armed = []

    def interrupt(number, frame):
        if armed:
            armed.clear()
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGVTALRM, interrupt)
    expected = [other.state_dict()]
    try:
        for delay in np.random.default_rng(0).uniform(1e-5, 2e-3, size=200):
            session.reset()
            pushed = 0
            try:
                armed.append(True)
                signal.setitimer(signal.ITIMER_VIRTUAL, delay)
                while True:
                    session.push(X[pushed % len(X)])
                    pushed += 1
            except (KeyboardInterrupt, SystemError):
                pass  # TensorFlow makes the second of the first at times.
            while len(expected) < pushed + 2:
                other.push(X[(len(expected) - 1) % len(X)])
                expected.append(other.state_dict())
            found = session.state_dict()
            assert any(
                all(np.array_equal(found[name], state[name]) for name in state)
                for state in expected[pushed : pushed + 2]
            )
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def test_half_precision_and_several_outputs():
    def build():
        inputs = keras.Input((None, FEATURES), name="signal")
        states = layers.GRU(5, return_sequences=True, name="gru")(inputs)
        return keras.Model(inputs, [states, layers.Dense(2, name="y")(states)])

    for policy in ("mixed_float16", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        session = StreamingSession(step_model(cases.make(build)), 2)
        found = [session.push({"signal": X[:2]}) for _ in range(3)][-1]
        assert {k: v.shape for k, v in found.items()} == {
            "gru": (2, 5),
            "y": (2, 2),
        }
        assert {str(v.dtype) for v in found.values()} == {policy[6:]}
        state = session.state_dict()
        after = session.push(X[:2])
        session.reset()
        session.load_state_dict(state)
        again = session.push(X[:2])
        for name in again:
            np.testing.assert_array_equal(again[name], after[name])


def test_other_shapes_are_refused(single, double):
    for session, x in (
        (single, X[0, :2]),
        (single, X[:2]),
        (single, X[None, :1]),
        (double, X[0]),
        (double, {"other": X[:2]}),
    ):
        with pytest.raises(ValueError, match=r"Expected: .*'signal': \("):
            session.push(x)
    for mask in ([True], [1, 0], True):
        with pytest.raises(ValueError, match="`mask` must be 2 booleans"):
            double.push(X[:2], mask)
    with pytest.raises(ValueError, match="`batch` must be a positive"):
        StreamingSession(single, batch=0)


def test_without_a_mask_no_step_may_be_missing(model, single):
    session = StreamingSession(step_model(model, mask=False))
    for x in X:
        np.testing.assert_allclose(session.push(x), single.push(x), atol=1e-6)
    with pytest.raises(ValueError, match="mask=True"):
        session.push(None)


def test_state_dict_is_numpy_and_goes_back(single, double):
    for x in X[:4]:
        single.push(x)
    state = single.state_dict()
    assert all(
        type(value) is np.ndarray and value.dtype == "float32"
        for name, value in state.items()
        if name != "fingerprint"
    )
    expected = [single.push(x) for x in X]
    single.reset()
    single.load_state_dict(state)
    np.testing.assert_array_equal([single.push(x) for x in X], expected)
    with pytest.raises(ValueError, match=r"as many streams.*has, 2"):
        double.load_state_dict(state)
    name = "signal_held_state_0"
    for wrong in (
        {k: v for k, v in state.items() if k != name},
        {**state, "more": np.zeros(3)},
        {**state, name: np.zeros((1, 9))},
    ):
        with pytest.raises(ValueError, match="must be those of `state_dict`"):
            single.load_state_dict(wrong)
    with pytest.raises(ValueError, match="States must be finite"):
        single.load_state_dict({**state, name: np.full((1, 3), np.nan)})
    # More than the state's own type holds.
    with pytest.raises(ValueError, match="finite in float32"):
        single.load_state_dict({**state, name: np.full((1, 3), 1e300)})
    for stream in (2, 0.0, "0", True):
        with pytest.raises(ValueError, match="number of one of 2 streams"):
            double.reset(stream)
    with pytest.raises(ValueError, match="state of another model"):
        single.load_state_dict({"signal_held_state_0": np.zeros((1, 3))})
    for dtype in ("U8", object, complex):
        wrong = {**state, name: state[name].astype(dtype)}
        with pytest.raises(ValueError, match=r"real numbers.*signal_held"):
            single.load_state_dict(wrong)
    with pytest.raises(ValueError, match="must be a dictionary"):
        single.load_state_dict(None)


def test_a_state_of_another_model_is_refused(model, single, tmp_path):
    same = keras.models.clone_model(model)
    same.set_weights(model.get_weights())
    single.push(X[0])
    single.save(tmp_path / "state.npz")
    # The same model is the same wherever it comes from.
    StreamingSession(step_model(same)).load(tmp_path / "state.npz")
    weights = same.get_weights()
    weights[0][0, 0] += 1e-6
    same.set_weights(weights)
    for other in (same, cases.make(cases.memory_network)):
        session = StreamingSession(step_model(other))
        with pytest.raises(ValueError, match="state of another model"):
            session.load(tmp_path / "state.npz")


def test_another_activation_is_another_model():
    def fingerprint(activation):
        layer = layers.SimpleRNN(3, activation, name="rnn")
        model = cases.make(lambda: cases.sequential(layer))
        return StreamingSession(step_model(model)).fingerprint

    assert fingerprint("tanh") == fingerprint("tanh")
    assert fingerprint("tanh") != fingerprint("relu")


def test_a_session_keeps_the_weights_that_it_began_with(model):
    trained = keras.models.clone_model(model)
    trained.set_weights(model.get_weights())
    step = step_model(trained)
    session = StreamingSession(step)
    before = session.push(X[0])
    trained.set_weights([2 * w for w in trained.get_weights()])
    session.reset()
    np.testing.assert_array_equal(session.push(X[0]), before)
    after = StreamingSession(step).push(X[0])
    assert np.abs(after - before).max() > 1e-2


def test_files_are_whole_or_not_there(single, tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    single.push(X[0])
    single.save(path)
    before = path.read_bytes()

    def broken(file, **arrays):
        file.write(b"half")
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", broken)
        with pytest.raises(OSError, match="No space"):
            single.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]


def test_other_files_are_refused(single, tmp_path):
    path = tmp_path / "state.npz"
    single.push(X[0])
    single.save(path)
    whole = path.read_bytes()
    state = single.state_dict()
    held = state["signal_held_state_0"].tobytes()
    other = whole.replace(held, held[::-1])
    np.savez_compressed(path, held=np.arange(999.0))
    packed = bytearray(path.read_bytes())
    packed[60:90] = bytes(30)
    half = whole[: len(whole) // 2]
    for content in (b"", b"thesis", half, other, bytes(packed)):
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match="not written by `StreamingSession"
        ):
            single.load(path)
    np.save(tmp_path / "array.npy", np.zeros(3))
    np.savez(tmp_path / "pickle.npz", fingerprint=np.array([{}]))
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as file:
        file.writestr("signal_held_state_0", "text")
    for name in ("array.npy", "pickle.npz", "text.npz"):
        with pytest.raises(ValueError, match=r"not written|another model"):
            single.load(tmp_path / name)
    np.savez(tmp_path / "recording.npz", spikes=np.zeros(3))
    with pytest.raises(ValueError, match="state of another model"):
        single.load(tmp_path / "recording.npz")
    with pytest.raises(FileNotFoundError):
        single.load(tmp_path / "none.npz")
    for name, kept in single.state_dict().items():
        np.testing.assert_array_equal(kept, state[name])


@pytest.mark.process
def test_memory_is_flat(single):
    def grown(steps):
        gc.collect()
        objects = len(gc.get_objects())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(steps):
            single.push(X[0])
        gc.collect()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return len(gc.get_objects()) - objects, after - peak

    grown(200)
    objects, kilobytes = grown(2000)
    assert objects < 50
    assert kilobytes < 2000


def test_threads_lose_no_step(step):
    alone, shared = StreamingSession(step), StreamingSession(step)
    x = np.ones(FEATURES)
    threads = [
        threading.Thread(target=lambda: [shared.push(x) for _ in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(200):
        alone.push(x)
    expected = alone.state_dict()
    for name, value in shared.state_dict().items():
        if name != "fingerprint":
            np.testing.assert_array_equal(value, expected[name])
