import itertools
import pathlib

import keras
import numpy as np
import pytest

from keras_seqattn.layers import LARNN
from keras_seqattn.layers import LARNNCell
from keras_seqattn.layers._larnn.settings import with_constants
from keras_seqattn.layers._larnn.step import drive
from keras_seqattn.layers._larnn.step import step as larnn_step
from keras_seqattn.layers._larnn.window import finish_rows
from tests import layer_checks
from tests.backend import BACKEND
from tests.backend import gradients
from tests.backend import to_numpy
from tests.reference.larnn import larnn

GOLDEN = pathlib.Path(__file__).parents[1] / "golden/larnn"
BATCH, TIME, FEATURES, UNITS, HEADS, WINDOW = 3, 9, 4, 6, 2, 5
FIXED = {"units": UNITS, "num_heads": HEADS, "window_size": WINDOW}
SETTINGS = [
    {
        "use_positional_encoding": positions,
        "key_value_activation": activation,
        "normalization": normalization,
    }
    for positions, activation, normalization in itertools.product(
        (True, False), ("elu", None), (None, "layer", "batch")
    )
]


def name_settings(settings):
    return "-".join(str(value) for value in settings.values())


def per_settings(settings):
    return pytest.mark.parametrize("settings", settings, ids=name_settings)


@pytest.fixture
def inputs():
    rng = np.random.default_rng(0)
    return rng.normal(size=(BATCH, TIME, FEATURES)).astype("float32")


def set_weights(layer):
    """General position: no weight is 0 or 1."""
    rng = np.random.default_rng(11)
    values = []
    for weight in layer.weights:
        value = 0.4 * rng.normal(size=weight.shape)
        if "gamma" in weight.path:
            # Batch statistics of few rows blow rounding up: keep them small.
            batch_norm = any("moving" in w.path for w in layer.weights)
            value = 0.25 * value + 0.25 if batch_norm else value + 1
        if "variance" in weight.path:
            value = 0.5 + value**2
        if "seed" in weight.path:
            value = to_numpy(weight)
        values.append(value)
    layer.set_weights(values)
    return layer


RNN_ARGUMENTS = ("return_sequences", "return_state", "go_backwards", "dtype")


def make(**arguments):
    arguments = {**FIXED, "return_sequences": True, **arguments}
    layer = LARNN(**arguments)
    layer.build((None, None, FEATURES))
    return set_weights(layer)


def make_rnn(**arguments):
    arguments = {**FIXED, "return_sequences": True, **arguments}
    outer = {k: arguments[k] for k in RNN_ARGUMENTS if k in arguments}
    inner = {k: v for k, v in arguments.items() if k not in RNN_ARGUMENTS[:3]}
    layer = keras.layers.RNN(LARNNCell(**inner), **outer)
    layer.build((None, None, FEATURES))
    return set_weights(layer)


BOTH = pytest.mark.parametrize("maker", [make, make_rnn], ids=["LARNN", "RNN"])


def by_name(layer):
    return {
        weight.path.split("_cell", 1)[1].split("/", 1)[1]: to_numpy(weight)
        for weight in layer.weights
        if "seed" not in weight.path
    }


def reference(layer, x, **arguments):
    cell = layer.cell
    return larnn(
        x,
        by_name(layer),
        cell.num_heads,
        cell.window_size,
        positions=cell.use_positional_encoding,
        activation=cell.key_value_activation is not None,
        normalization=cell.normalization,
        **arguments,
    )


def upstream(shape):
    return np.random.default_rng(5).normal(size=shape).astype("float32")


def assert_gradients_equal(found, expected, tolerance=2e-5):
    for a, b in zip(found, expected, strict=True):
        scale = max(1.0, np.abs(b).max())
        np.testing.assert_allclose(a / scale, b / scale, atol=tolerance)


@pytest.mark.parametrize("normalization", [None, "layer", "batch"])
def test_weights_by_name_and_shape(normalization):
    layer = LARNN(6, 3, 10, normalization=normalization)
    layer.build((None, None, 4))
    expected = {
        "kernel": (4, 24),
        "recurrent_kernel": (6, 24),
        "attention_kernel": (6, 24),
        "bias": (24,),
        "query_kernel": (4, 6),
        "query_recurrent_kernel": (6, 6),
        "query_bias": (6,),
        "key_kernel": (6, 6),
        "value_kernel": (6, 6),
        "key_position_kernel": (12, 6),
        "value_position_kernel": (12, 6),
        "key_bias": (6,),
        "value_bias": (6,),
        "output_kernel": (6, 6),
        "output_bias": (6,),
    }
    if normalization:
        for name in ("cell", "hidden", "attention", "key_value"):
            expected[f"{name}_norm/gamma"] = (6,)
            expected[f"{name}_norm/beta"] = (6,)
            if normalization == "batch":
                shape = (2, 6) if name == "key_value" else (6,)
                expected[f"{name}_norm/moving_mean"] = shape
                expected[f"{name}_norm/moving_variance"] = shape
    assert {n: v.shape for n, v in by_name(layer).items()} == expected
    if normalization != "batch":
        rnn = keras.layers.RNN(LARNNCell(6, 3, 10, normalization=normalization))
        rnn.build((None, None, 4))
        assert {n: v.shape for n, v in by_name(rnn).items()} == expected


def test_parameter_count_of_the_original():
    # 113,643 + 162 in the original, less the second bias of the gates
    # (4 H) and the normalization whose result it throws away (8 H).
    layer = LARNN(81, 27, 38, use_positional_encoding=False,
                  normalization="batch")  # fmt: skip
    layer.build((None, None, 81))
    trainable = sum(np.prod(v.shape) for v in layer.trainable_variables)
    assert trainable == 113_643 + 162 - 12 * 81


@pytest.mark.parametrize(
    "window_size, features",
    [(1, 4), (2, 6), (10, 12), (17, 14), (33, 16), (64, 16)],
)
def test_position_features(window_size, features):
    layer = LARNN(2, 1, window_size)
    layer.build((None, None, 1))
    assert layer.cell.key_position_kernel.shape == (features, 2)
    if window_size == 10:
        newest = layer.cell._position_features[-1]
        np.testing.assert_allclose(
            newest,
            [-1, 0, 0.7071, 0.9239, 0.9808, 0.9952,
             1, 0.7071, 0.3827, 0.1951, 0.0980, 0.0491],
            atol=1e-4,
        )  # fmt: skip


@per_settings(SETTINGS)
def test_values_equal_the_reference(settings, inputs):
    layer = make(**settings)
    expected, _, attention, _ = reference(layer, inputs)
    found, scores = layer(inputs, return_attention_scores=True)
    layer_checks.assert_same(found, expected, 1e-5)
    layer_checks.assert_same(scores, attention, 1e-5)
    if settings["normalization"] == "batch":
        # Statistics of three rows would blow rounding up.
        many = np.random.default_rng(1).normal(size=(32, TIME, FEATURES))
        expected, *_ = reference(layer, many, training=True)
        found = to_numpy(layer(many, training=True))
        layer_checks.assert_same(found, expected, 1e-4)
    else:
        found = to_numpy(make_rnn(**settings)(inputs))
        layer_checks.assert_same(found, expected, 1e-5)


@pytest.mark.parametrize("window_size", [1, 2, 8, 9, 10, 38])
def test_windows_below_at_and_above_the_length(window_size, inputs):
    settings = {"window_size": window_size}
    layer, rnn = make(**settings), make_rnn(**settings)
    expected, _, attention, _ = reference(layer, inputs)
    found = layer(inputs, return_attention_scores=True)
    layer_checks.assert_same(found, [expected, attention], 1e-5)
    layer_checks.assert_same(rnn(inputs), expected, 1e-5)
    if window_size not in (1, TIME + 1):
        return
    weights = upstream(expected.shape)

    def loss(output):
        return layer_checks.dot(output, weights)

    assert_gradients_equal(
        gradients(layer, loss, inputs), gradients(rnn, loss, inputs)
    )


@per_settings([SETTINGS[i] for i in (0, 4, 7, 9)])
def test_the_gradient_equals_autodiff_through_the_cell(settings, inputs):
    weights = upstream((BATCH, TIME, UNITS))

    def loss(output):
        return layer_checks.dot(output, weights)

    mask = np.arange(TIME) != np.array([[0], [4], [TIME]])
    assert_gradients_equal(
        gradients(make(**settings), loss, inputs, mask=mask),
        gradients(make_rnn(**settings), loss, inputs, mask=mask),
        1e-4,
    )


@pytest.mark.only("tensorflow")  # The others do not keep float64.
@per_settings(SETTINGS)
def test_in_float64_the_cache_is_exact(settings, inputs):
    layer = make(**settings, dtype="float64")
    training = settings["normalization"] == "batch"
    expected, *_ = reference(layer, inputs, training=training)
    found = to_numpy(layer(inputs.astype("float64"), training=training))
    np.testing.assert_allclose(found, expected, atol=1e-11)


GOLDEN_FILES = sorted(path.name for path in GOLDEN.glob("*.npz"))


def golden_layer(golden, name, dtype):
    """The original's weights under their names here."""
    units, features = 6, 6
    layer = LARNN(
        units,
        num_heads=3,
        window_size=5,
        use_positional_encoding="pe1" in name,
        key_value_activation="elu" if "act1" in name else None,
        normalization="batch",
        return_sequences=True,
        dtype=dtype,
    )
    layer.build((None, None, features))
    w = {key[2:]: v for key, v in golden.items() if key.startswith("w.")}
    query = w["input_and_hidden_to_query.weight"].T
    values = {
        "kernel": w["input_to_hidden.weight"].T,
        "recurrent_kernel": w["hidden_to_hidden.weight"].T,
        "attention_kernel": w["attention_to_cell.weight"].T,
        "bias": w["input_to_hidden.bias"] + w["attention_to_cell.bias"],
        "query_kernel": query[:features],
        "query_recurrent_kernel": query[features:],
        "query_bias": w["input_and_hidden_to_query.bias"],
        "output_kernel": w["multi_headed_attention.output_linear.weight"].T,
        "output_bias": w["multi_headed_attention.output_linear.bias"],
    }
    for kind in ("key", "value"):
        kernel = w[f"multi_headed_attention.{kind}_linear.weight"].T
        values[f"{kind}_kernel"] = kernel[:units]
        values[f"{kind}_position_kernel"] = kernel[units:]
        values[f"{kind}_bias"] = w[f"multi_headed_attention.{kind}_linear.bias"]
    for ours, theirs in (
        ("cell", "batch_norm_cell"),
        ("hidden", "batch_norm_post_activation"),
        ("attention", "batch_norm_attention_result"),
        ("key_value", "kv_bn"),
    ):
        values[f"{ours}_norm/gamma"] = w.get(f"{theirs}.weight", np.ones(6))
        values[f"{ours}_norm/beta"] = w.get(f"{theirs}.bias", np.zeros(6))
    for weight in layer.trainable_variables:
        name = weight.path.split("larnn_cell/")[1]
        weight.assign(values[name])
    return layer


@pytest.mark.parametrize("name", GOLDEN_FILES)
def test_the_original_s_outputs_and_gradients(name):
    with np.load(GOLDEN / name) as file:
        golden = dict(file)
    # float64 shows that the formula is exact; the position table of the pe1
    # files is rounded to float32.
    precisions = [("float32", 1e-5)]
    if BACKEND == "tensorflow":
        precisions.append(("float64", 1e-6 if "pe1" in name else 1e-9))
    for dtype, tolerance in precisions:
        layer = golden_layer(golden, name, dtype)
        x = golden["x"].transpose(1, 0, 2).astype(dtype)
        found = to_numpy(layer(x, training=True)).transpose(1, 0, 2)
        np.testing.assert_allclose(found, golden["y"], atol=tolerance)
        by_x, *_ = gradients(
            layer,
            lambda y: keras.ops.sum(y * y),
            x,
            dtype,
            training=True,
        )
        np.testing.assert_allclose(
            by_x.transpose(1, 0, 2), golden["dsumy2_dx"], atol=tolerance
        )


def test_there_are_four_golden_files():
    assert len(GOLDEN_FILES) == 4


class Stepwise(LARNN):
    """The steps without the loop and its gradient: for autodiff."""

    def call(self, sequences, training=True):
        cell = self.cell
        settings = cell.settings(batch_statistics=True)
        w = with_constants(cell.tensors(), settings)
        batch = sequences.shape[0]
        hidden, carried, window, empty = cell.unpack(
            cell.get_initial_state(batch)
        )
        rows, outputs = list(keras.ops.unstack(window, axis=0)), []
        slots = list(keras.ops.unstack(empty, axis=0))
        for t in range(sequences.shape[1]):
            done = larnn_step(
                w,
                settings,
                drive(w, sequences[:, t]),
                hidden,
                carried,
                finish_rows(
                    w, settings, keras.ops.stack(rows[-cell.window_size :])
                ),
                keras.ops.stack(slots[-cell.window_size :]),
                keras.ops.ones((batch, 1), sequences.dtype),
            )
            hidden, carried = done.hidden, done.cell
            rows.append(done.row)
            slots.append(keras.ops.zeros_like(slots[0]))
            outputs.append(hidden)
        return keras.ops.stack(outputs, axis=1)


@pytest.mark.parametrize("activation", ["elu", None])
@pytest.mark.parametrize("positions", [True, False])
def test_gradients_with_batch_statistics(positions, activation):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(16, TIME, FEATURES)).astype("float32")
    weights = rng.normal(size=(16, TIME, UNITS)).astype("float32")
    dtype = "float64" if BACKEND == "tensorflow" else "float32"
    arguments = {
        **FIXED,
        "return_sequences": True,
        "normalization": "batch",
        "use_positional_encoding": positions,
        "key_value_activation": activation,
        "dtype": dtype,
    }

    def found(which):
        layer = which(**arguments)
        layer.build(inputs.shape)
        set_weights(layer)
        return gradients(
            layer,
            lambda output: layer_checks.dot(output, weights),
            inputs,
            dtype,
            training=True,
        )

    # In float32 the first step's keys, equal in all rows, have a variance of
    # rounding errors alone; what it leaves is small beside the whole.
    assert_gradients_equal(
        found(LARNN), found(Stepwise), 1e-10 if dtype == "float64" else 1e-2
    )


def test_gradients_equal_finite_differences(inputs):
    weights = upstream((BATCH, TIME, UNITS))
    layer_checks.check_gradients(
        make, inputs, lambda output: layer_checks.dot(output, weights)
    )


@BOTH
def test_symbolic_eager_and_compiled_agree(maker, inputs):
    layer_checks.check_symbolic_eager_and_compiled_agree(maker, inputs)


def test_symbolic_eager_and_compiled_agree_with_scores_and_states(inputs):
    layer_checks.check_symbolic_eager_and_compiled_agree(
        lambda: make(return_state=True), inputs, return_attention_scores=True
    )


@BOTH
def test_config_round_trip(maker, inputs):
    layer = maker(
        use_positional_encoding=False,
        normalization="layer",
        key_value_activation=None,
        dropout=0.25,
        recurrent_dropout=0.1,
        attention_dropout=0.2,
        seed=3,
        kernel_initializer="reference",
        recurrent_regularizer="l2",
        attention_constraint="max_norm",
        bias_initializer="reference",
        unit_forget_bias=False,
    )
    inner = LARNNCell if maker is make_rnn else LARNN
    config = (layer.cell if maker is make_rnn else layer).get_config()
    assert inner.from_config(config).get_config() == config
    if maker is make:
        layer_checks.check_config_round_trip(lambda: layer, inputs)
    else:
        twin = keras.layers.RNN.from_config(layer.get_config())
        twin.build(inputs.shape)
        twin.set_weights(layer.get_weights())
        layer_checks.assert_same(twin(inputs), to_numpy(layer(inputs)))


CELL_KEYS = {
    "attention_constraint", "attention_dropout", "attention_initializer",
    "attention_regularizer", "beta_initializer", "bias_constraint",
    "bias_initializer", "bias_regularizer", "dropout", "dtype",
    "gamma_initializer", "kernel_constraint", "kernel_initializer",
    "kernel_regularizer", "key_value_activation", "name", "normalization",
    "num_heads", "recurrent_constraint", "recurrent_dropout",
    "recurrent_initializer", "recurrent_regularizer", "seed", "trainable",
    "unit_forget_bias", "units", "use_positional_encoding", "window_size",
}  # fmt: skip


def test_config_keys_are_frozen():
    assert set(LARNNCell(4).get_config()) == CELL_KEYS
    assert set(LARNN(4).get_config()) == CELL_KEYS | {
        "go_backwards", "return_sequences", "return_state", "stateful",
        "unroll", "zero_output_for_mask",
    }  # fmt: skip


def test_the_reference_initializer():
    layer = LARNN(
        64,
        normalization="layer",
        unit_forget_bias=False,
        **{
            f"{group}_initializer": "reference"
            for group in (
                "kernel", "recurrent", "attention", "bias", "gamma", "beta"
            )
        },
    )  # fmt: skip
    layer.build((None, None, 9))
    for value in by_name(layer).values():
        assert 0.75 / 8 < np.abs(value).max() <= 1 / 8
        assert value.min() < 0 < value.max()


@pytest.mark.parametrize("initializer", ["glorot_uniform", "reference"])
def test_no_two_weights_begin_alike(initializer):
    layer = LARNN(
        6,
        2,
        normalization="layer",
        **{
            f"{group}_initializer": initializer
            for group in ("kernel", "recurrent", "attention")
        },
        bias_initializer="reference",
        gamma_initializer="reference",
        beta_initializer="reference",
    )
    layer.build((None, None, 6))
    values = [v.ravel()[:6] for v in by_name(layer).values()]
    assert len({tuple(value) for value in values}) == len(values)


def test_the_forget_gate_begins_open():
    layer = LARNN(4)
    layer.build((None, None, 3))
    np.testing.assert_array_equal(
        to_numpy(layer.cell.bias), [0] * 4 + [1] * 4 + [0] * 8
    )


def test_masks(inputs):
    layer_checks.check_masks(lambda: make(return_sequences=False), inputs)


@pytest.mark.parametrize("zeros", [False, True])
def test_outputs_at_masked_steps(zeros, inputs):
    layer = make(zero_output_for_mask=zeros)
    mask = np.ones((BATCH, TIME), bool)
    mask[0, :2] = mask[1, 3:5] = mask[2, -1] = False
    found, scores = to_numpy(
        layer(inputs, mask=mask, return_attention_scores=True)
    )
    for row in range(BATCH):
        alone, alone_scores = to_numpy(
            layer(
                inputs[row : row + 1, mask[row]], return_attention_scores=True
            )
        )
        layer_checks.assert_same(found[row, mask[row]], alone[0])
        layer_checks.assert_same(scores[row, mask[row]], alone_scores[0])
        for step in np.flatnonzero(~mask[row]):
            before = found[row, step - 1] if step else 0 * found[row, 0]
            expected = 0 * before if zeros else before
            np.testing.assert_array_equal(found[row, step], expected)
    assert np.all(scores[~mask] == 0)


def test_batch_statistics_leave_padding_out(inputs):
    """Padding all sequences alike is as leaving the steps out."""
    layer = make(normalization="batch")
    mask = np.arange(TIME) < TIME - 3
    dirty = np.where(mask[:, None], inputs, np.float32(7))
    found = layer(dirty, mask=np.tile(mask, (BATCH, 1)), training=True)
    after = by_name(layer)
    twin = make(normalization="batch")
    expected = twin(inputs[:, mask], training=True)
    layer_checks.assert_same(to_numpy(found)[:, mask], expected)
    layer_checks.assert_same(after, by_name(twin), 1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_long_padding_with_batch_normalization(training):
    """What runs on in the padding stays finite, gradients too."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 60, FEATURES)).astype("float32")
    # Small moving variances would make the first sequence itself grow.
    longest = 60 if training else 10
    mask = np.arange(60) < np.array([[longest], [10], [10], [10]])

    def made():
        layer = LARNN(**FIXED, normalization="batch", return_sequences=True)
        layer.build(x.shape)
        for weight in layer.non_trainable_variables:
            if "variance" in weight.path:
                weight.assign(np.full(weight.shape, 0.1))
        return layer

    def loss(output):
        return keras.ops.mean(keras.ops.square(output))

    layer = made()
    arguments = {"mask": mask, "training": training}
    assert np.isfinite(to_numpy(layer(x, **arguments))).all()
    for gradient in gradients(layer, loss, x, **arguments):
        assert np.isfinite(gradient).all()
    if training:  # All alike: as if the padding was not there.
        twin, cut = made(), made()
        cut.set_weights(twin.get_weights())
        even = {"mask": np.tile(np.arange(60) < 10, (4, 1))}
        found = to_numpy(twin(x, training=True, **even))
        expected = to_numpy(cut(x[:, :10], training=True))
        layer_checks.assert_same(found[:, :10], expected, 1e-4)
        for a, b in zip(
            by_name(twin).items(), by_name(cut).items(), strict=True
        ):
            assert a[0] == b[0]
            np.testing.assert_allclose(a[1], b[1], atol=1e-4, err_msg=a[0])


def test_a_batch_that_is_all_masked_moves_no_statistics(inputs):
    layer = make(normalization="batch")
    before = by_name(layer)
    layer(inputs, mask=np.zeros((BATCH, TIME), bool), training=True)
    for name, value in by_name(layer).items():
        np.testing.assert_array_equal(value, before[name])


def test_a_frozen_layer_uses_its_moving_statistics(inputs):
    layer = make(normalization="batch")
    layer.trainable = False
    before = by_name(layer)
    expected = to_numpy(layer(inputs))
    layer_checks.assert_same(layer(inputs, training=True), expected, 0)
    for name, value in by_name(layer).items():
        np.testing.assert_array_equal(value, before[name])


@BOTH
def test_integer_inputs(maker):
    x = np.arange(BATCH * TIME * FEATURES).reshape(BATCH, TIME, FEATURES) % 5
    layer = maker()
    layer_checks.assert_same(layer(x), to_numpy(layer(x.astype("float32"))), 0)


def test_bad_initial_states(inputs):
    layer = make()
    state = layer.get_initial_state(BATCH)
    for bad in (state[:2], [state[0], *state[:3]]):
        with pytest.raises(
            ValueError, match="`initial_state` must be 4 tensors"
        ):
            layer(inputs, initial_state=bad)


def test_the_mask_of_the_layer_before_is_used_and_passed_on(inputs):
    padded = inputs.copy()
    padded[:, 6:] = 0
    symbolic = keras.Input((None, FEATURES))
    masked = keras.layers.Masking()(symbolic)
    states = make()(masked)
    assert states._keras_mask is not None
    pooled = keras.layers.GlobalAveragePooling1D()(states)
    model = keras.Model(
        symbolic, [make(return_sequences=False)(masked), pooled]
    )
    last, mean = model.predict(padded, verbose=0)
    expected = to_numpy(make()(inputs[:, :6]))
    layer_checks.assert_same(last, expected[:, -1], 2e-6)
    layer_checks.assert_same(mean, expected.mean(1), 2e-6)


@BOTH
def test_mixed_precision(maker, inputs):
    layer_checks.check_mixed_precision(maker, inputs)


def test_mixed_float16_trains(inputs):
    keras.config.set_dtype_policy("mixed_float16")
    # The first steps only lower the loss scale.
    layer_checks.check_trains(
        lambda: make(return_sequences=False), inputs, epochs=12
    )


def test_large_values_stay_finite(inputs):
    for scale in (1e-4, 1e3, 1e6):
        layer = make()
        found, scores = to_numpy(
            layer(scale * inputs, return_attention_scores=True)
        )
        assert np.isfinite(found).all()
        assert np.abs(scores.sum(-1) - 1).max() < 1e-5


@pytest.mark.parametrize("normalization", [None, "layer", "batch"])
def test_every_weight_trains(normalization, inputs):
    layer_checks.check_trains(
        lambda: make(return_sequences=False, normalization=normalization),
        inputs,
    )


def test_every_weight_of_the_cell_trains(inputs):
    layer_checks.check_trains(lambda: make_rnn(return_sequences=False), inputs)


@pytest.mark.parametrize(
    "kind", ["dropout", "recurrent_dropout", "attention_dropout"]
)
@BOTH
def test_dropout(maker, kind, inputs):
    layer_checks.check_dropout(
        lambda seed: maker(return_sequences=False, **{kind: 0.5}, seed=seed),
        inputs,
    )


@pytest.mark.parametrize("positions", [True, False])
def test_dropout_is_that_of_the_cell_gradient_included(positions, inputs):
    arguments = {
        "dropout": 0.3,
        "recurrent_dropout": 0.4,
        "attention_dropout": 0.3,
        "use_positional_encoding": positions,
        "seed": 5,
    }
    weights = upstream((BATCH, TIME, UNITS))

    def loss(output):
        return layer_checks.dot(output, weights)

    layer, rnn = make(**arguments), make_rnn(**arguments)
    layer_checks.assert_same(
        layer(inputs, training=True), to_numpy(rnn(inputs, training=True)), 1e-5
    )
    layer, rnn = make(**arguments), make_rnn(**arguments)
    assert_gradients_equal(
        gradients(layer, loss, inputs, training=True),
        gradients(rnn, loss, inputs, training=True),
    )


def test_moving_statistics(inputs):
    layer = make(normalization="batch", return_sequences=False)
    before = by_name(layer)
    *_, statistics = reference(layer, inputs, training=True)
    layer(inputs, training=True)
    after = by_name(layer)
    for name, values in statistics.items():
        if name == "key_value":  # Keys and values in turn.
            values = [
                [
                    np.stack(pair)
                    for pair in zip(*values[t : t + 2], strict=False)
                ]
                for t in range(0, len(values), 2)
            ]
        for kind, steps in zip(
            ("mean", "variance"), zip(*values, strict=True), strict=True
        ):
            key = f"{name}_norm/moving_{kind}"
            expected = 0.9 * before[key] + 0.1 * np.mean(steps, axis=0)
            np.testing.assert_allclose(after[key], expected, atol=1e-5)


def test_moving_statistics_move_in_fit_and_serve_at_inference(inputs):
    symbolic = keras.Input((TIME, FEATURES))
    layer = make(normalization="batch", return_sequences=False)
    model = keras.Model(symbolic, keras.layers.Dense(1)(layer(symbolic)))
    model.compile("sgd", "mse")
    before = [to_numpy(v) for v in layer.non_trainable_variables]
    model.fit(inputs, inputs[:, -1, :1], epochs=1, verbose=0)
    moved = [
        np.abs(to_numpy(v) - old).max()
        for v, old in zip(layer.non_trainable_variables, before, strict=True)
        if "moving" in v.path
    ]
    assert len(moved) == 8
    assert min(moved) > 1e-3
    # Deterministic, and blind to what else is in the batch.
    together = model.predict(inputs, verbose=0)
    layer_checks.assert_same(model.predict(inputs, verbose=0), together, 0)
    alone = np.concatenate(
        [model.predict(inputs[i : i + 1], verbose=0) for i in range(BATCH)]
    )
    layer_checks.assert_same(alone, together)


@BOTH
def test_return_state_and_going_on(maker, inputs):
    layer = maker(return_state=True)
    whole, *state = layer(inputs)
    first, *between = layer(inputs[:, :4])
    second, *end = layer(inputs[:, 4:], initial_state=between)
    layer_checks.assert_same(
        np.concatenate([to_numpy(first), to_numpy(second)], 1), whole, 1e-5
    )
    layer_checks.assert_same(end, to_numpy(state), 1e-5)
    assert [tuple(s.shape) for s in state] == [
        (BATCH, UNITS),
        (BATCH, UNITS),
        (BATCH, WINDOW * 2 * UNITS),
        (BATCH, WINDOW),
    ]


def test_states_equal_those_of_the_cell(inputs):
    layer, rnn = make(return_state=True), make_rnn(return_state=True)
    for time in (2, WINDOW - 1, WINDOW, TIME):
        layer_checks.assert_same(
            layer(inputs[:, :time]), to_numpy(rnn(inputs[:, :time])), 1e-5
        )
    mask = np.arange(TIME) != np.array([[0], [4], [TIME - 1]])
    found = to_numpy(layer(inputs, mask=mask))
    expected = to_numpy(rnn(inputs, mask=mask))
    layer_checks.assert_same(found, expected, 1e-5)


def test_gradients_through_the_initial_state(inputs):
    weights = upstream((BATCH, TIME - 4, UNITS))

    def loss_of(layer):
        def loss(outputs):
            _, *state = outputs
            second, *_ = layer(inputs[:, 4:], initial_state=state)
            return layer_checks.dot(second, weights)

        return loss

    if BACKEND == "jax":  # There a layer is called with weights once only.

        def make_model(layer):
            symbolic = keras.Input((TIME, FEATURES))
            _, *state = layer(symbolic[:, :4])
            second, *_ = layer(symbolic[:, 4:], initial_state=state)
            return keras.Model(symbolic, second)

        def loss(output):
            return layer_checks.dot(output, weights)

        found, expected = (
            gradients(make_model(m(return_state=True)), loss, inputs)
            for m in (make, make_rnn)
        )
    else:
        found, expected = (
            gradients(layer, loss_of(layer), inputs[:, :4])
            for layer in (make(return_state=True), make_rnn(return_state=True))
        )
    assert_gradients_equal(found, expected)


def test_streaming_equals_the_whole_sequence(inputs):
    layer = make()
    cell = layer.cell
    state = cell.get_initial_state(BATCH)
    outputs = []
    for step in range(TIME):
        output, state = cell(inputs[:, step], state)
        outputs.append(to_numpy(output))
    layer_checks.assert_same(np.stack(outputs, 1), layer(inputs), 1e-5)


def test_go_backwards(inputs):
    found = to_numpy(make(go_backwards=True)(inputs))
    layer_checks.assert_same(found, to_numpy(make()(inputs[:, ::-1])), 1e-6)
    rnn = to_numpy(make_rnn(go_backwards=True)(inputs))
    layer_checks.assert_same(found, rnn, 1e-5)


@BOTH
def test_bidirectional(maker, inputs):
    layer = keras.layers.Bidirectional(maker())
    layer.build(inputs.shape)
    set_weights(layer.forward_layer)
    set_weights(layer.backward_layer)
    forward = to_numpy(make()(inputs))
    backward = to_numpy(make()(inputs[:, ::-1]))[:, ::-1]
    layer_checks.assert_same(
        layer(inputs), np.concatenate([forward, backward], -1), 1e-5
    )


def test_stacked_cells(inputs):
    cells = [LARNNCell(**FIXED), LARNNCell(4, 2, 3, normalization="layer")]
    stacked = keras.layers.RNN(cells, return_sequences=True)
    expected = stacked(inputs)
    x = inputs
    for cell in cells:
        layer = LARNN.from_config({**cell.get_config(), "name": None})
        layer.return_sequences = True
        layer.build(x.shape)
        layer.set_weights(cell.get_weights())
        x = to_numpy(layer(x))
    layer_checks.assert_same(x, to_numpy(expected), 1e-5)


def test_stateful(inputs):
    layer = LARNN(**FIXED, stateful=True, return_sequences=True)
    symbolic = keras.Input(batch_shape=(BATCH, None, FEATURES))
    model = keras.Model(symbolic, layer(symbolic))
    layer.cell.set_weights(make().cell.get_weights())
    parts = [model.predict(inputs[:, i : i + 3], verbose=0) for i in (0, 3, 6)]
    whole = to_numpy(make()(inputs))
    layer_checks.assert_same(np.concatenate(parts, 1), whole, 1e-5)
    layer.reset_state()
    layer_checks.assert_same(
        model.predict(inputs[:, :3], verbose=0), parts[0], 1e-6
    )
    model.compile("sgd", "mse")
    model.fit(inputs, np.zeros((BATCH, TIME, UNITS)), batch_size=3, verbose=0)


def test_regularizers_and_constraints(inputs):
    layer = make(
        return_sequences=False,
        kernel_regularizer=keras.regularizers.L2(0.5),
        attention_constraint="non_neg",
    )
    layer(inputs)
    expected = 0.5 * sum(
        np.sum(by_name(layer)[name] ** 2) for name in ("kernel", "query_kernel")
    )
    np.testing.assert_allclose(
        sum(float(to_numpy(loss)) for loss in layer.losses), expected, rtol=1e-5
    )
    symbolic = keras.Input((TIME, FEATURES))
    model = keras.Model(symbolic, layer(symbolic))
    model.compile("adam", "mse")
    model.fit(inputs, np.ones((BATCH, UNITS)), verbose=0)
    for name in ("attention_kernel", "key_kernel", "output_kernel"):
        assert by_name(layer)[name].min() >= 0
    assert by_name(layer)["kernel"].min() < 0


@pytest.mark.process
def test_learns_to_recall_what_it_saw_before():
    """The input of four steps ago, which only the window can hand over."""
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        x = np.random.default_rng(seed).normal(size=(256, 12, 1))
        x = x.astype("float32")
        symbolic = keras.Input((12, 1))
        states = LARNN(16, 4, 6, return_sequences=True)(symbolic)
        model = keras.Model(symbolic, keras.layers.Dense(1)(states)[:, 4:])
        model.compile(keras.optimizers.Adam(0.02), "mse")
        history = model.fit(x, x[:, :-4], epochs=40, batch_size=64, verbose=0)
        assert history.history["loss"][-1] < 0.5, seed  # the mean: 1.0


@pytest.mark.nan
def test_nan_and_infinity_stay_in_their_sequence(inputs):
    layer = make()
    clean = to_numpy(layer(inputs))
    for bad in (np.nan, np.inf):
        x = inputs.copy()
        x[1, 5, 2] = bad
        found = to_numpy(layer(x))
        assert np.isnan(found[1, 5:]).any(axis=1).all()
        layer_checks.assert_same(found[1, :5], clean[1, :5])
        layer_checks.assert_same(found[[0, 2]], clean[[0, 2]])


def test_an_empty_batch_gives_an_empty_output(inputs):
    layer = make()
    layer(inputs)
    assert to_numpy(layer(inputs[:0])).shape == (0, TIME, UNITS)


@pytest.mark.parametrize("normalization", [None, "layer"])
def test_an_empty_batch_has_gradients_of_zero(normalization, inputs):
    layer = make(normalization=normalization)
    for gradient in gradients(layer, keras.ops.sum, inputs[:0]):
        np.testing.assert_array_equal(gradient, 0 * gradient)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"units": 0}, "`units` must be a positive integer. Received: units=0"),
        ({"num_heads": 4}, "`units` must be a multiple of `num_heads`"),
        ({"window_size": 1.5}, "`window_size` must be a positive integer"),
        ({"key_value_activation": "relu"}, r"must be one of \('elu', None\)"),
        ({"normalization": "group"}, "`normalization` must be one of"),
        ({"dropout": 1.0}, r"`dropout` must be a number .* \[0, 1\)"),
        ({"attention_dropout": -1}, "`attention_dropout` must be a number"),
        ({"recurrent_dropout": 2}, "`recurrent_dropout` must be a number"),
    ],
)
@pytest.mark.parametrize("which", [LARNN, LARNNCell])
def test_bad_arguments(which, arguments, message):
    with pytest.raises(ValueError, match=message):
        which(**{**FIXED, **arguments})


def test_a_cell_keeps_no_moving_statistics():
    with pytest.raises(ValueError, match="use the layer `LARNN`"):
        LARNNCell(4, normalization="batch")


@pytest.mark.parametrize(
    "shape, message",
    [
        ((4, 5), "expected ndim=3"),
        ((2, 3, 4, 5), "expected ndim=3"),
        ((2, 0, 5), "at least one timestep"),
        ((2, 3, 0), "at least one feature"),
    ],
)
def test_bad_input_shapes(shape, message):
    with pytest.raises(ValueError, match=message):
        LARNN(4)(np.zeros(shape, "float32"))


@pytest.mark.parametrize("shape", [(TIME,), (BATCH, 1), (TIME, BATCH)])
def test_bad_mask_shapes(shape, inputs):
    with pytest.raises(ValueError, match=r"`mask` must have the shape \(batch"):
        make()(inputs, mask=np.ones(shape, bool))


def test_other_feature_count_after_build(inputs):
    with pytest.raises(ValueError, match="expected axis -1"):
        make()(inputs[..., :-1])


@pytest.mark.only("tensorflow")
@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("known", ["all", "length", "features"])
def test_graphs_that_know_less_have_the_same_gradients(
    inputs, known, persistent
):
    import tensorflow as tf

    layer = make()
    layer.build(inputs.shape)
    weights = [weight.value for weight in layer.trainable_variables]

    def differentiate(x):
        with tf.GradientTape(persistent=persistent) as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x, training=True) ** 2)
        return tape.gradient(loss, [x, *weights])

    batch, time, features = inputs.shape
    shape = {
        "all": (batch, time, features),
        "length": (None, time, features),
        "features": (None, None, features),
    }[known]
    compiled = tf.function(
        differentiate,
        input_signature=[tf.TensorSpec(shape, inputs.dtype)],
        autograph=False,
    )
    expected = differentiate(tf.constant(inputs))
    for got, want in zip(compiled(inputs), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.only("tensorflow")
@pytest.mark.parametrize("tapes", ["persistent", "within", "nested"])
def test_tapes_around_a_compiled_layer(inputs, tapes):
    """Such tapes would differentiate what the gradient is computed by."""
    import tensorflow as tf

    layer = make()
    kernel = layer.trainable_variables[0].value

    def loss(x):
        return tf.reduce_sum(layer(x, training=True) ** 2)

    def differentiate(loss):
        with tf.GradientTape(persistent=tapes != "nested") as tape:
            value = loss(tf.constant(inputs))
            if tapes == "within":
                return tape.gradient(value, kernel)
            if tapes == "nested":
                with tf.GradientTape() as inner:
                    value = loss(tf.constant(inputs))
                inner.gradient(value, kernel)
        return tape.gradient(value, kernel)

    with tf.GradientTape() as tape:
        value = loss(tf.constant(inputs))
    np.testing.assert_allclose(
        differentiate(tf.function(loss, autograph=False)),
        tape.gradient(value, kernel),
        rtol=1e-4,
        atol=1e-5,
    )


def second_derivative(layer, inputs, power):
    """Of the loss, by the inputs, squared and summed, then by the kernel."""

    def loss(output):
        return keras.ops.sum(output**power)

    kernel = layer.trainable_variables[0]
    if BACKEND == "tensorflow":
        import tensorflow as tf

        x = tf.constant(inputs)
        with tf.GradientTape() as outer:
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = loss(layer(x, training=True))
            total = tf.reduce_sum(tape.gradient(value, x) ** 2)
        return outer.gradient(total, kernel.value)
    if BACKEND == "jax":
        import jax

        weights = [v.value for v in layer.trainable_variables]
        rest = [v.value for v in layer.non_trainable_variables]
        by_x = jax.grad(lambda x, w: loss(layer.stateless_call(w, rest, x)[0]))
        by_weights = jax.jit(
            jax.grad(lambda w, x: keras.ops.sum(by_x(x, w) ** 2))
        )
        return by_weights(weights, jax.numpy.asarray(inputs))[0]
    import torch

    x = torch.tensor(inputs, requires_grad=True)
    (by_x,) = torch.autograd.grad(loss(layer(x)), x, create_graph=True)
    return torch.autograd.grad((by_x**2).sum(), kernel.value)[0]


@pytest.mark.parametrize("power", [1, 2])
def test_second_derivatives_are_right_or_refused(inputs, power):
    expected = second_derivative(make_rnn(), inputs, power)
    scale = float(keras.ops.max(keras.ops.abs(expected)))
    assert scale > 0.01
    if BACKEND == "torch":
        # Of one step too, where no tensor was changed in place.
        for x in (inputs, inputs[:, :1]):
            with pytest.raises(NotImplementedError, match="on torch"):
                second_derivative(make(), x, power)
        return
    found = second_derivative(make(), inputs, power)
    layer_checks.assert_same(found / scale, expected / scale, 1e-5)


@pytest.mark.only("tensorflow")
def test_second_derivatives_through_a_compiled_step(inputs):
    import tensorflow as tf

    layer = make()

    def derivative():
        return second_derivative(layer, inputs, 2)

    found, expected = tf.function(derivative, autograph=False)(), derivative()
    scale = float(tf.reduce_max(tf.abs(expected)))
    layer_checks.assert_same(found / scale, expected / scale, 1e-5)


@pytest.mark.only("tensorflow")
def test_gradients_of_vectorized_sequences(inputs):
    """pfor drops gradients by hand, and differentiates what they compute."""
    import tensorflow as tf

    layer = make()
    kernel = layer.trainable_variables[0].value
    x = tf.stack([inputs, 2 * inputs])

    def differentiate(map_fn):
        with tf.GradientTape() as tape:
            y = map_fn(lambda one: layer(one, training=True), x)
            loss = tf.reduce_sum(y**2)
        return tape.gradient(loss, kernel)

    np.testing.assert_allclose(
        tf.function(differentiate, autograph=False)(tf.vectorized_map),
        differentiate(tf.map_fn),
        rtol=1e-4,
        atol=1e-5,
    )
