import pathlib

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_seqattn.layers import TemporalAttention
from tests import layer_checks
from tests.backend import BACKEND
from tests.backend import gradients
from tests.backend import to_numpy
from tests.reference.temporal_attention import temporal_attention

GOLDEN = pathlib.Path(__file__).parents[1] / "golden/temporal_attention.npz"
WEIGHTS = ("kernel", "bias", "gamma", "beta", "score_kernel")
BATCH, TIME, FEATURES = 3, 8, 5
CALLS = {
    "plain": {},
    "scores": {"return_attention_scores": True},
}


@pytest.fixture
def inputs():
    rng = np.random.default_rng(0)
    return rng.normal(size=(BATCH, TIME, FEATURES)).astype("float32")


@pytest.fixture
def golden():
    with np.load(GOLDEN) as file:
        return dict(file)


def make(features=FEATURES, **arguments):
    """A layer in general position: no weight is 0 or 1."""
    arguments = {"units": 4, **arguments}
    layer = TemporalAttention(**arguments)
    layer.build((None, None, features))
    rng = np.random.default_rng(11)
    layer.set_weights(
        [
            0.5 * rng.normal(size=w.shape) + ("gamma" in w.path)
            for w in layer.weights
        ]
    )
    return layer


def golden_layer(golden, dtype="float32"):
    layer = TemporalAttention(units=golden["bias"].size, dtype=dtype)
    layer.build(golden["inputs"].shape)
    layer.set_weights([golden[name] for name in WEIGHTS])
    return layer


def reference(layer, inputs, **arguments):
    values = {w.path.rsplit("/", 1)[1]: to_numpy(w) for w in layer.weights}
    return temporal_attention(
        inputs,
        values["kernel"],
        values["bias"],
        values.get("gamma"),
        values.get("beta"),
        values["score_kernel"],
        **arguments,
    )


def test_weights_by_name_and_shape():
    layer = TemporalAttention(use_score_bias=True)
    layer.build((None, None, 9))
    assert {
        w.path.rsplit("/", 1)[1]: tuple(w.shape) for w in layer.weights
    } == {
        "kernel": (9, 4),
        "bias": (4,),
        "gamma": (4,),
        "beta": (4,),
        "score_kernel": (4, 1),
        "score_bias": (1,),
    }


@pytest.mark.parametrize(
    "features, units", [(1, 4), (3, 4), (5, 2), (256, 128)]
)
def test_default_units_are_half_the_features(features, units):
    layer = TemporalAttention(use_score_bias=True)
    layer.build((None, None, features))
    assert layer.count_params() == features * units + 4 * units + 1
    if features == 256:
        assert layer.count_params() == 33_281  # as in the original


@pytest.mark.parametrize("return_scores", [False, True])
def test_values_equal_the_golden_file(golden, return_scores):
    found = golden_layer(golden)(
        golden["inputs"].astype("float32"),
        mask=golden["mask"],
        return_attention_scores=return_scores,
    )
    output, *scores = found if return_scores else [found]
    np.testing.assert_allclose(to_numpy(output), golden["output"], atol=1e-5)
    for value in scores:
        np.testing.assert_allclose(to_numpy(value), golden["scores"], atol=1e-5)


def test_gradients_equal_the_golden_file(golden):
    """So the backends' gradients equal each other."""
    dtype = "float64" if BACKEND == "tensorflow" else "float32"

    def loss(outputs):
        output, scores = outputs
        return keras.ops.add(
            layer_checks.dot(output, golden["upstream"]),
            layer_checks.dot(scores, golden["scores_upstream"]),
        )

    # On TensorFlow in both precisions; float64 shows the formula is exact.
    for precision in {dtype, "float32"}:
        dtype = precision
        found = gradients(
            golden_layer(golden, precision),
            loss,
            golden["inputs"].astype(precision),
            precision,
            mask=golden["mask"],
            return_attention_scores=True,
        )
        tolerance = 1e-4 if precision == "float32" else 1e-8
        for name, gradient in zip(("inputs", *WEIGHTS), found, strict=True):
            np.testing.assert_allclose(
                gradient,
                golden[f"gradient_{name}"],
                rtol=tolerance,
                atol=tolerance,
                err_msg=name,
            )


@pytest.mark.parametrize(
    "arguments, reference_arguments",
    [
        ({}, {}),
        ({"activation": "relu"}, {"activation": lambda z: np.maximum(z, 0)}),
        ({"normalize": False}, {}),
        ({"epsilon": 0.5}, {"epsilon": 0.5}),
        ({"use_score_bias": True}, {}),
        ({"units": None}, {}),
    ],
)
def test_settings_equal_the_reference(arguments, reference_arguments, inputs):
    layer = make(**arguments)
    found = to_numpy(layer(inputs, return_attention_scores=True))
    expected = reference(layer, inputs, **reference_arguments)
    layer_checks.assert_same(found, expected, 1e-5)


def test_the_score_bias_changes_nothing(inputs):
    layer = make(use_score_bias=True)
    before = to_numpy(layer(inputs))
    layer.score_bias.assign([3.0])
    layer_checks.assert_same(layer(inputs), before)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    units=st.integers(2, 4),
    data=st.data(),
)
def test_any_shape_and_mask_equals_the_reference(shape, units, data):
    rng = np.random.default_rng(sum(shape))
    x = rng.normal(size=shape).astype("float32")
    mask = np.array(
        data.draw(
            st.lists(
                st.booleans(),
                min_size=shape[0] * shape[1],
                max_size=shape[0] * shape[1],
            )
        )
    ).reshape(shape[:2])
    layer = make(shape[2], units=units)
    found = to_numpy(layer(x, mask=mask, return_attention_scores=True))
    layer_checks.assert_same(found, reference(layer, x, mask=mask), 1e-5)


@pytest.mark.parametrize("call", CALLS)
def test_symbolic_eager_and_compiled_agree(call, inputs):
    layer_checks.check_symbolic_eager_and_compiled_agree(
        make, inputs, **CALLS[call]
    )


@pytest.mark.parametrize("call", CALLS)
def test_computed_shapes_equal_real_ones(call, inputs):
    layer = make()
    spec = layer.compute_output_spec(
        keras.KerasTensor(inputs.shape), **CALLS[call]
    )
    real = layer(inputs, **CALLS[call])
    for a, b in zip(
        keras.tree.flatten(spec), keras.tree.flatten(real), strict=True
    ):
        assert tuple(a.shape) == tuple(b.shape)
    assert layer.compute_output_shape(inputs.shape) == (BATCH, FEATURES)


def test_config_round_trip(inputs):
    layer_checks.check_config_round_trip(
        lambda: make(
            activation="relu",
            normalize=False,
            use_score_bias=True,
            dropout=0.25,
            seed=3,
            kernel_regularizer="l2",
            bias_constraint="non_neg",
            name="attend",
        ),
        inputs,
    )


def test_config_keys_are_frozen():
    assert sorted(TemporalAttention().get_config()) == [
        "activation",
        "bias_constraint",
        "bias_initializer",
        "bias_regularizer",
        "dropout",
        "dtype",
        "epsilon",
        "kernel_constraint",
        "kernel_initializer",
        "kernel_regularizer",
        "name",
        "normalize",
        "score_constraint",
        "score_initializer",
        "score_regularizer",
        "seed",
        "trainable",
        "units",
        "use_score_bias",
    ]


def test_gradients_equal_finite_differences(inputs):
    weights = np.random.default_rng(1).normal(size=(BATCH, FEATURES))

    def loss(output):
        return layer_checks.dot(output, weights)

    layer_checks.check_gradients(make, inputs, loss)


def test_masks(inputs):
    layer_checks.check_masks(make, inputs)


def test_the_mask_of_the_layer_before_is_used(inputs):
    padded = inputs.copy()
    padded[:, 5:] = 0
    symbolic = keras.Input((None, FEATURES))
    layer = make()
    pooled, scores = layer(
        keras.layers.Masking()(symbolic), return_attention_scores=True
    )
    model = keras.Model(symbolic, [pooled, scores])
    found = model.predict(padded, verbose=0)
    assert np.all(found[1][:, 5:] == 0)
    layer_checks.assert_same(found[0], to_numpy(layer(inputs[:, :5])), 2e-6)
    # No time axis is left for a mask.
    assert getattr(pooled, "_keras_mask", None) is None


def test_mixed_precision(inputs):
    layer_checks.check_mixed_precision(make, inputs)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_large_values_stay_finite_in_half_precision(policy, inputs):
    layer = make(dtype=policy)
    mask = np.ones((BATCH, TIME), bool)
    mask[0] = False
    mask[1, 3:] = False
    for scale in (1e-4, 1e3):
        found = to_numpy(
            keras.ops.cast(layer(scale * inputs, mask=mask), "float32")
        )
        assert np.isfinite(found).all()
        assert np.abs(found[1:]).max() > 0


def test_mixed_float16_trains(inputs):
    keras.config.set_dtype_policy("mixed_float16")
    # The first steps only lower the loss scale.
    layer_checks.check_trains(make, inputs, epochs=12)


def test_every_weight_trains(inputs):
    layer_checks.check_trains(make, inputs)
    layer_checks.check_trains(
        lambda: make(use_score_bias=True), inputs, still=("score_bias",)
    )


def test_dropout(inputs):
    layer_checks.check_dropout(
        lambda seed: make(dropout=0.5, seed=seed), inputs
    )


def test_dropout_keeps_the_mean():
    layer = make(2, dropout=0.4, seed=1)
    x = np.ones((500, 30, 2), "float32")
    _, scores = layer(x, training=True, return_attention_scores=True)
    scores = to_numpy(scores)
    assert abs((scores == 0).mean() - 0.4) < 0.02
    assert abs(scores.sum(1).mean() - 1) < 0.02


def test_regularizers_and_constraints(inputs):
    layer = make(
        kernel_regularizer=keras.regularizers.L2(0.5),
        bias_regularizer=keras.regularizers.L1(0.25),
        score_constraint="non_neg",
    )
    layer(inputs)
    expected = 0.5 * np.sum(to_numpy(layer.kernel) ** 2) + 0.25 * np.sum(
        np.abs(to_numpy(layer.bias))
    )
    np.testing.assert_allclose(
        sum(float(to_numpy(loss)) for loss in layer.losses), expected, rtol=1e-5
    )
    layer_checks.check_trains(lambda: layer, inputs)
    assert to_numpy(layer.score_kernel).min() >= 0


@pytest.mark.process
def test_learns_which_timestep_matters():
    """The value of the one marked timestep, among noise, on three seeds."""
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(512, 9, 3)).astype("float32")
        marked = rng.integers(0, 9, 512)
        x[:, :, 1] = 0
        x[np.arange(512), marked, 1] = 1
        y = x[np.arange(512), marked, :1]
        symbolic = keras.Input((9, 3))
        pooled, scores = TemporalAttention(units=8)(
            symbolic, return_attention_scores=True
        )
        model = keras.Model(symbolic, keras.layers.Dense(1)(pooled))
        model.compile(keras.optimizers.Adam(0.03), "mse")
        history = model.fit(x, y, epochs=40, batch_size=64, verbose=0)
        assert history.history["loss"][-1] < 0.1, seed  # mean pooling: 0.89
        attention = keras.Model(symbolic, scores).predict(x, verbose=0)
        assert (attention.argmax(1) == marked).mean() > 0.8  # chance: 0.11


@pytest.mark.nan
@pytest.mark.parametrize("normalize", [True, False])
def test_nan_and_infinity_stay_in_their_sequence(normalize, inputs):
    layer = make(normalize=normalize)
    for bad in (np.nan, np.inf):
        x = inputs.copy()
        x[1, 2, 3] = bad
        found = to_numpy(layer(x))
        assert not np.isfinite(found[1, 3])
        layer_checks.assert_same(found[[0, 2]], to_numpy(layer(inputs))[[0, 2]])


def test_an_empty_batch_gives_an_empty_output(inputs):
    layer = make()
    layer(inputs)
    assert to_numpy(layer(inputs[:0])).shape == (0, FEATURES)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"units": 0}, "`units` must be a positive integer. Received: units=0"),
        ({"units": 2.5}, "`units` must be a positive integer"),
        ({"units": True}, "`units` must be a positive integer"),
        ({"dropout": 1.0}, r"`dropout` must be a number .* \[0, 1\)"),
        ({"dropout": -0.1}, r"`dropout` must be .* Received: dropout=-0.1"),
        ({"epsilon": 0}, "`epsilon` must be a finite number above 0"),
        ({"activation": "no_such"}, "no_such"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TemporalAttention(**arguments)


@pytest.mark.parametrize(
    "shape, message",
    [
        ((4, 5), r"rank 3, \(batch, time, features\).*input_shape=\(4, 5\)"),
        ((2, 3, 4, 5), "rank 3"),
        ((2, 0, 5), "at least one timestep"),
        ((2, 3, 0), "at least one feature"),
    ],
)
def test_bad_input_shapes(shape, message):
    with pytest.raises(ValueError, match=message):
        TemporalAttention()(np.zeros(shape, "float32"))


@pytest.mark.parametrize(
    "shape", [(TIME,), (BATCH, 1), (BATCH, TIME, 1), (TIME, BATCH)]
)
def test_bad_mask_shapes(shape, inputs):
    with pytest.raises(ValueError, match=r"`mask` must have the shape \(batch"):
        make()(inputs, mask=np.ones(shape, bool))


def test_weights_after_the_projection_are_not_rounded():
    layer = make(dtype="mixed_bfloat16")
    expected = 1 + 2**-12  # bfloat16 would make it 1
    layer.score_kernel.assign(np.full(layer.score_kernel.shape, expected))
    seen = []
    layer.activation = lambda z: seen.append(layer.score_kernel + 0.0) or z
    layer(np.ones((BATCH, TIME, FEATURES)))
    assert float(to_numpy(seen[0])[0, 0]) == expected


def test_other_feature_count_after_build(inputs):
    layer = make()
    layer(inputs)
    with pytest.raises(ValueError, match="expected axis -1"):
        layer(inputs[..., :-1])
    with pytest.raises(ValueError, match="at least one timestep"):
        layer(inputs[:, :0])
