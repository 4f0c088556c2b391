import keras
import numpy as np
import pytest
from keras import layers

import keras_seqattn as ks
from keras_seqattn.streaming import StreamingSession
from keras_seqattn.streaming import step_model
from tests.backend import compiled
from tests.backend import to_numpy
from tests.streaming import cases

FEATURES = cases.FEATURES
STEPS = 19
STREAMS = 3


def signal(streams=STREAMS, steps=STEPS, features=FEATURES):
    rng = np.random.default_rng(1)
    return rng.normal(size=(streams, steps, features)).astype("float32")


def missing(streams, steps, count):
    """As many missing steps in each stream, in places of its own."""
    rng = np.random.default_rng(2)
    mask = np.arange(steps - 1) >= count - 1
    mask = np.stack([rng.permutation(mask) for _ in range(streams)])
    # The first step is missing in all.
    return np.pad(mask, ((0, 0), (1, 0)))


def stream(session, x, mask=None):
    """Push every step; what is missing is NaN."""
    if mask is not None:
        x = np.where(mask[..., None], x, np.nan)
    return np.stack(
        [
            session.push(x[:, t], None if mask is None else mask[:, t])
            for t in range(x.shape[1])
        ],
        axis=1,
    )


def newest(output):
    return output[:, -1] if output.ndim == 3 else output


def outputs_of(model, x):
    return to_numpy(compiled(lambda x: model(x))(x)).astype("float32")


@pytest.mark.parametrize("name", cases.SHORT)
def test_equals_the_model_without_the_missing_steps(name, tmp_path):
    model = cases.make(cases.SHORT[name])
    x, mask = signal(), missing(STREAMS, STEPS, count=6)
    # As from a file: what is shared is written once.
    step_model(model).save(tmp_path / "step.keras")
    step = keras.saving.load_model(tmp_path / "step.keras")
    session = StreamingSession(step, STREAMS)
    streamed = stream(session, x, mask)
    kept = x[mask].reshape(STREAMS, -1, FEATURES)
    expected = outputs_of(model, kept)
    tolerance = 2e-2 if name == "half_precision" else 1e-5
    assert np.abs(newest(expected)).max() > 0.02
    np.testing.assert_allclose(
        streamed[:, -1], newest(expected), atol=tolerance
    )
    if expected.shape[:2] == kept.shape[:2]:
        np.testing.assert_allclose(
            streamed[mask].reshape(expected.shape), expected, atol=tolerance
        )
    assert not mask[:, 0].any()
    for t in range(1, STEPS):
        # What is missing repeats the output before.
        same = ~mask[:, t]
        np.testing.assert_allclose(
            streamed[same, t], streamed[same, t - 1], atol=1e-6
        )


def test_between_two_outputs_of_strides_the_last_one_stands():
    model = cases.make(cases.SHORT["classifier_with_strides"])
    x = signal(steps=9)
    streamed = stream(StreamingSession(step_model(model), STREAMS), x)
    run = compiled(lambda x: model(x))
    for steps in (1, 4, 5, 9):  # a new output after every fourth
        np.testing.assert_allclose(
            streamed[:, steps - 1], to_numpy(run(x[:, :steps])), atol=1e-5
        )
    assert np.abs(streamed[:, 3] - streamed[:, 4]).max() > 1e-3


# A model's output carries no mask on.
@pytest.mark.filterwarnings("ignore:.*destroy the mask")
@pytest.mark.parametrize("name", ["decoder", "larnn_stack"])
def test_equals_the_model_with_a_mask(name):
    model = cases.make(cases.LONG[name])
    x, mask = signal(), missing(STREAMS, STEPS, count=6)
    run = compiled(lambda x, mask: model(x, mask=mask))
    expected = to_numpy(run(x, keras.ops.convert_to_tensor(mask)))
    streamed = stream(StreamingSession(step_model(model), STREAMS), x, mask)
    np.testing.assert_allclose(streamed, expected, atol=1e-5)


def test_equals_the_model_with_a_masking_layer():
    inputs = keras.Input((None, FEATURES), name="signal")
    y = layers.Masking()(inputs)
    y = layers.Dense(4)(y)
    y = layers.LSTM(4, return_sequences=True)(y)
    y = ks.layers.LARNN(4, 2, 3, return_sequences=True)(y)
    model = cases.make(lambda: keras.Model(inputs, layers.Dense(2)(y)))
    x = signal()
    x[0, 4] = x[1, 7:9] = x[2, 0] = 0
    streamed = stream(StreamingSession(step_model(model), STREAMS), x)
    np.testing.assert_allclose(streamed, outputs_of(model, x), atol=1e-5)


def windowed_models():
    build = ks.models.build_neural_decoder
    attention = {"units": 4, "head_units": 3}
    yield "attention", lambda: build(5, FEATURES, **attention)
    yield "last", lambda: build(5, FEATURES, pooling="last", **attention)
    yield (
        "steps of two bins",
        lambda: build(
            5, FEATURES, pooling="last", bins_per_step=2, **attention
        ),
    )
    yield (
        "bidirectional",
        lambda: build(None, FEATURES, bidirectional=True, **attention),
    )
    yield (
        "scaled",
        lambda: cases.sequential(
            layers.Normalization(mean=1.0, variance=3.0),
            layers.Dense(4),
            ks.layers.LARNN(4, 2, 3, return_sequences=True),
            layers.GlobalAveragePooling1D(),
        ),
    )
    yield "strides", lambda: cases.activity_classifier(pooling="attention")
    yield "bursts", cases.burst_network


@pytest.mark.parametrize(
    ("name", "build"), [pytest.param(*x, id=x[0]) for x in windowed_models()]
)
def test_a_window_equals_the_model_on_each_window(name, build):
    model = cases.make(build)
    x, mask = signal(), missing(STREAMS, STEPS, count=4)
    step = step_model(model, window=5)
    streamed = stream(StreamingSession(step, STREAMS), x, mask)
    run = compiled(lambda x: model(x))
    for number in range(STREAMS):
        kept = x[number, mask[number]]
        # The first step stands for those before it.
        padded = np.concatenate([np.repeat(kept[:1], 4, axis=0), kept])
        windows = np.stack([padded[t : t + 5] for t in range(len(kept))])
        expected = newest(to_numpy(run(windows)))
        found = streamed[number, mask[number]]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(found, axis=0).max() > 1e-3


def test_a_window_keeps_what_is_done_to_each_step():
    """Once done, and as wide as the projection: 2 of 30 channels."""
    inputs = keras.Input((6, 30), name="spikes")
    y = layers.Dense(2, name="projection")(inputs)
    model = keras.Model(inputs, layers.GRU(4)(y))
    state = ks.streaming.initial_state(step_model(model, window=6))
    assert {name: value.shape for name, value in state.items()} == {
        "spikes_held_state_0": (1, 30),
        "projection_window_state_0": (1, 12),
        "projection_window_state_1": (1, 1),
    }


def test_two_inputs_and_two_outputs():
    a = keras.Input((None, FEATURES), name="a")
    b = keras.Input((None, 2), name="b")
    joined = layers.Concatenate()([a, b])
    states = layers.GRU(4, return_sequences=True, name="gru")(joined)
    one, two = layers.Dense(2)(states), layers.Dense(3)(states)
    model = keras.Model([a, b], {"one": one, "two": two})
    x = {"a": signal(), "b": signal(features=2)}
    expected = to_numpy(model([x["a"], x["b"]]))
    session = StreamingSession(step_model(model), STREAMS)
    for t in range(STEPS):
        found = session.push({name: value[:, t] for name, value in x.items()})
        assert sorted(found) == ["one", "two"]
        for name, value in found.items():
            np.testing.assert_allclose(value, expected[name][:, t], atol=1e-5)


def test_names_of_inputs_and_outputs():
    model = keras.Sequential(
        [
            keras.Input((None, FEATURES), name="spikes"),
            layers.LSTM(4, return_sequences=True, name="lstm"),
            layers.Dense(2, name="decoded"),
        ]
    )
    step = step_model(model)
    states = {"lstm_state_0", "lstm_state_1", "spikes_held_state_0"}
    assert set(step.input) == {"spikes", "mask", *states}
    assert set(step.output) == {"decoded", *(f"next_{s}" for s in states)}
    assert tuple(step.input["mask"].shape) == (None,)
    assert tuple(step.output["decoded"].shape) == (None, 2)
    step = step_model(model, mask=False)
    assert set(step.input) == {"spikes", "lstm_state_0", "lstm_state_1"}


def test_the_twin_shares_the_weights():
    model = cases.make(cases.gru)
    step = step_model(model)
    assert {id(w) for w in step.weights} == {id(w) for w in model.weights}
    model.set_weights([0.5 * w for w in model.get_weights()])
    x = signal(steps=1)
    given = {"signal": x[:, 0], "mask": np.ones(STREAMS, bool)}
    given |= ks.streaming.initial_state(step, STREAMS)
    (name,) = model.output_names
    found = step.predict_on_batch(given)[name]
    np.testing.assert_allclose(found, to_numpy(model(x))[:, 0], atol=1e-6)


def test_building_a_twin_leaves_the_model_as_it_was(tmp_path):
    model = ks.models.build_neural_decoder(5, FEATURES, units=4)
    before = model.to_json()
    step_model(model, window=5)
    assert model.to_json() == before
    x = signal(steps=5)
    scores = ks.models.attention_scores_model(model)(x)
    np.testing.assert_allclose(to_numpy(scores).sum(axis=1), 1, atol=1e-5)


class Leaky(layers.Layer):
    """A layer of a user's, that looks at the step before."""

    def call(self, inputs):
        before = keras.ops.pad(inputs[:, :-1], ((0, 0), (1, 0), (0, 0)))
        return inputs + 1e-3 * before


def refused():
    gru = layers.GRU(3, return_sequences=True)
    yield layers.Bidirectional(gru, name="both"), "`both` .Bidirectional. does"
    yield layers.GRU(3, go_backwards=True, name="back"), "`back` .GRU. does"
    yield ks.layers.TemporalAttention(name="attend"), "`attend` .TemporalAtt"
    yield layers.GlobalMaxPooling1D(name="pool"), "`pool` .GlobalMaxPooling1D"
    yield layers.Conv1D(3, 3, padding="same", name="conv"), "`conv` .Conv1D. d"
    yield layers.Softmax(axis=1, name="over_time"), "`over_time` .Softmax. does"
    yield layers.Permute((2, 1), name="turn"), "`turn` .Permute. does"
    yield layers.UpSampling1D(2, name="twice"), "`twice` .UpSampling1D. does"
    yield Leaky(name="leaky"), "`leaky` .Leaky. does not treat each step alike"


@pytest.mark.parametrize(("layer", "message"), [*refused()])
def test_what_looks_at_other_steps_is_refused_by_name(layer, message):
    with pytest.raises(ValueError, match=message):
        step_model(cases.sequential(layers.Dense(3), layer))


@keras.saving.register_keras_serializable(package="tests")
class OnesCell(layers.SimpleRNNCell):
    def get_initial_state(self, batch_size=None):
        return [keras.ops.ones((batch_size, self.units))]


def test_states_that_come_from_elsewhere_are_refused():
    inputs = keras.Input((None, FEATURES))
    state = keras.ops.mean(inputs, axis=1)
    output = layers.GRU(FEATURES, name="gru")(inputs, initial_state=[state])
    with pytest.raises(ValueError, match=r"`mean.*does not treat each step"):
        step_model(keras.Model(inputs, output))
    _, state = layers.GRU(3, return_state=True)(inputs)
    output = layers.GRU(3, name="gru")(inputs, initial_state=[state])
    with pytest.raises(ValueError, match=r"`gru`.*called with .'initial_state"):
        step_model(keras.Model(inputs, output))
    larnn = ks.layers.LARNN(4, 2, 3, name="larnn")
    output = larnn(inputs, return_attention_scores=True)
    with pytest.raises(ValueError, match=r"called with .'return_attention_sco"):
        step_model(keras.Model(inputs, output))
    with pytest.raises(ValueError, match="do not begin as flat zeros"):
        step_model(cases.sequential(layers.RNN(OnesCell(3))))


def test_a_window_is_chosen_by_name():
    model = ks.models.build_neural_decoder(5, FEATURES, units=4, pooling="last")
    with pytest.raises(ValueError, match=r"window=5.*free time axis"):
        step_model(model)
    with pytest.raises(ValueError, match=r"windows of \[5\].*window=4"):
        step_model(model, window=4)
    with pytest.raises(ValueError, match="`window` must be a positive"):
        step_model(model, window=0)
    # An output at every step is one whatever the length.
    every = cases.sequential(layers.GRU(3, return_sequences=True), timesteps=5)
    x = signal(steps=5)
    streamed = stream(StreamingSession(step_model(every), STREAMS), x)
    np.testing.assert_allclose(streamed, to_numpy(every(x)), atol=1e-5)


def test_other_models_are_refused():
    with pytest.raises(ValueError, match=r"\(batch, time, features\)"):
        step_model(keras.Sequential([keras.Input((3,)), layers.Dense(2)]))
    with pytest.raises(ValueError, match="Received: BurstPropNetwork"):
        step_model(ks.models.BurstPropNetwork([3, 2]))
    with pytest.raises(ValueError, match="must be built"):
        step_model(ks.models.BurstPropNetwork([3, 2], mode="temporal"))
    inputs = keras.Input((None, 3), name="mask")
    with pytest.raises(ValueError, match="named 'mask'"):
        step_model(keras.Model(inputs, layers.GRU(2)(inputs)))
    masking = layers.Masking(name="mask")
    with pytest.raises(ValueError, match="layer named 'mask'"):
        step_model(cases.sequential(masking, layers.GRU(2)))
    named = layers.GRU(2, name="next_signal")
    with pytest.raises(ValueError, match=r"not begin with 'next_'.*next_sig"):
        step_model(cases.sequential(named))
    blocks = [
        keras.Sequential([keras.Input((None, 3)), layers.Dense(3, name="d")])
        for _ in range(2)
    ]
    with pytest.raises(ValueError, match=r"`d` .Dense. has the name of anoth"):
        step_model(cases.sequential(*blocks))
    model = cases.sequential(layers.GRU(2))
    with pytest.raises(ValueError, match="`step` must be a model of one step"):
        StreamingSession(model)
