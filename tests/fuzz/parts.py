"""Further doors: layers, models, tasks, what is fitted, what is exported.

Each is as in `doors.py`.
"""

import functools
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import keras_seqattn as ks
from keras_seqattn import decoding
from keras_seqattn import layers
from keras_seqattn import models
from keras_seqattn import tasks
from keras_seqattn import windows
from keras_seqattn.activity import ActivityTimeline
from keras_seqattn.activity import score_events
from keras_seqattn.export.quantization import Quantization
from keras_seqattn.export.request import Request

RNG = np.random.default_rng(1)
X = RNG.normal(size=(2, 5, 3)).astype("float32")
DENSE = keras.Sequential(
    [keras.Input((3,)), keras.layers.Dense(2, activation="softmax")]
)


class Impossible(Exception):
    """An input that nobody can have made."""


Doors = dict[str, tuple[Callable[..., Any], dict[str, Any]]]


def numbers(x: Any) -> Any:
    return keras.ops.convert_to_numpy(x)


# Keras itself looks at the input of a layer.
def attended(mask: Any, **settings: Any) -> Any:
    return numbers(layers.TemporalAttention(**settings)(X, mask=mask))


def remembered(mask: Any, state: Any, **settings: Any) -> Any:
    layer = layers.LARNN(**settings)
    if state is not None:
        state = [state] * len(layer.state_size)
        return numbers(layer(X, mask=mask, initial_state=state))
    return numbers(layer(X, mask=mask))


def modulated(mask: Any, **settings: Any) -> Any:
    return numbers(layers.GainModulatedNeuron(**settings)(X, mask=mask))


def bursting(**settings: Any) -> Any:
    return numbers(layers.BurstPropDense(**settings)(X[:, 0]))


def network(**settings: Any) -> Any:
    return numbers(models.BurstPropNetwork(**settings)(X[:, 0]))


def built(build: Callable[..., Any], **given: Any) -> Any:
    try:
        model = build(**given)
        shape = [2 if n is None else n for n in model.input_shape]
        return numbers(model(np.zeros(shape, "float32")))
    except RecursionError as error:  # Keras', of a thousand layers.
        raise Impossible from error


def drawn(task: Any, sequences: Any, seed: Any, **settings: Any) -> Any:
    return vars(task(**settings).sample(sequences, seed))


def fitted(kind: Any, movement: Any, **settings: Any) -> Any:
    counts = np.random.default_rng(0).poisson(2.0, (80, 3))
    recording = decoding.Recording(counts, movement, bin_width=0.1)
    data = decoding.DecodingData(recording, 3, (0.6, 0.2, 0.2))
    return kind(**settings).fit(data).predict(data, "test")


def recommended(score: Any, **given: Any) -> Any:
    return decoding.recommend_timesteps(lambda k: score, **given)


def batched(standardized: Any, **given: Any) -> Any:
    if standardized is not None:
        standardized = windows.Standardizer.fit(standardized, (0, 1))
    found = windows.WindowBatches(**given, standardizer=standardized)
    return [found[i] for i in range(len(found))]


def served(inputs: Any, targets: Any, **given: Any) -> Any:
    return tasks.TrialBatches([(inputs, targets)], **given)[0]


TIMELINE = ActivityTimeline(
    times=np.arange(6) / 2,
    label=np.array(["a", "a", "b", "b", "a", "a"]),
    probabilities=np.eye(2)[[0, 0, 1, 1, 0, 0]],
    segment=np.zeros(6, int),
    classes=("a", "b"),
    rate=2.0,
)


def quantized(**given: Any) -> Any:
    """All that an export says before it writes."""
    request = Request("litert", batch_size=1, quantize=given.pop("quantize"))
    with tempfile.TemporaryDirectory() as folder:
        Quantization(DENSE, request, **given).calibrate(pathlib.Path(folder))


def carried(preprocessing: Any) -> Any:
    tag = ks.export.PreprocessingTag(preprocessing)
    again = ks.export.PreprocessingTag.from_config(tag.get_config())
    assert again.preprocessing == tag.preprocessing
    for name, value in preprocessing.items():
        if isinstance(value, (bool, int, float, str)):
            assert tag.get_config()["preprocessing"][name] == value, name


MOVING = np.cumsum(RNG.normal(size=(80, 2)), axis=0)
LAYERS: Doors = {
    "TemporalAttention": (
        attended,
        {
            "mask": np.ones((2, 5), bool),
            "units": 4,
            "activation": "tanh",
            "epsilon": 1e-3,
            "dropout": 0.1,
        },
    ),
    "LARNN": (
        remembered,
        {
            "mask": np.ones((2, 5), bool),
            "state": None,
            "units": 4,
            "num_heads": 2,
            "window_size": 3,
            "dropout": 0.1,
        },
    ),
    "GainModulatedNeuron": (
        modulated,
        {
            "mask": np.ones((2, 5), bool),
            "units": 3,
            "controller_units": 4,
            "controller": "gru",
            "activation": "gain_softplus",
            "modulated": ["gain"],
            "controller_input": "preactivation",
            "lag": 1,
            "signed": True,
            "first_step": "regular",
            "connection": "dense",
            "resting_values": {"gain": 1.0},
        },
    ),
    "BurstPropDense": (
        bursting,
        {
            "units": 3,
            "burst_probability": 0.2,
            "feedback": "random",
            "feedback_stddev": 1.0,
            "recurrent": False,
            "kernel_initializer": "zeros",
        },
    ),
}
MODELS: Doors = {
    "BurstPropNetwork": (
        network,
        {
            "units": [4, 2],
            "mode": "rate",
            "burst_probability": 0.2,
            "feedback": "random",
            "learning_rate_multipliers": [1.0, 0.5],
            "weight_decay": 0.1,
        },
    ),
    "neural decoder": (
        functools.partial(built, models.build_neural_decoder),
        {
            "timesteps": 4,
            "channels": 3,
            "outputs": 2,
            "pooling": "attention",
            "cell": "lstm",
            "units": 4,
            "num_layers": 1,
            "bins_per_step": 2,
            "bidirectional": True,
            "head_units": 3,
            "dropout": 0.1,
            "attention_units": 4,
        },
    ),
    "activity classifier": (
        functools.partial(built, models.build_activity_classifier),
        {
            "timesteps": 8,
            "channels": 3,
            "classes": 2,
            "cell": "larnn",
            "units": 4,
            "num_layers": 1,
            "num_heads": 2,
            "window_size": 3,
            "stem_filters": (4,),
            "stem_kernel_size": 3,
            "stem_strides": 2,
            "compression": 20.0,
            "residual": True,
            "pooling": "last",
            "dropout": 0.1,
        },
    ),
    "memory network": (
        functools.partial(built, models.build_memory_network),
        {
            "preset": "additive",
            "timesteps": 4,
            "features": 3,
            "units": 2,
            "outputs": 2,
            "controller_units": 3,
        },
    ),
}
OTHERS: Doors = {
    "Preprocessing JSON": (
        carried,
        {
            "preprocessing": {
                "mean": [0.0, 1.0],
                "scale": [1.0, 2.0],
                "in_model": False,
                "timesteps": 5,
                "rate": 50.0,
                "signal_options": {"gravity": True, "lowpass": 5.0},
                "channels": ["x", "y"],
                "classes": ["a", "b"],
                "units": {"x": "g"},
            }
        },
    ),
    "quantization": (
        quantized,
        {
            "quantize": "int8",
            "representative": X[0],
            "labels": np.array([0, 1, 1, 0, 1]),
            "max_loss": 0.1,
        },
    ),
    "CueRecall": (
        functools.partial(drawn, tasks.CueRecall),
        {
            "sequences": 3,
            "seed": 0,
            "cue_step": 2,
            "delay_range": (2, 5),
            "response_duration": 1,
            "amplitude": 0.8,
            "noise": 0.1,
        },
    ),
    "CueAssociation": (
        functools.partial(drawn, tasks.CueAssociation),
        {
            "sequences": 3,
            "seed": 0,
            "num_keys": 3,
            "num_values": 4,
            "num_pairs": 2,
            "num_queries": 1,
            "presentation": "sequential",
            "key_code": "one_hot",
            "delay_range": (2, 9),
            "distractor_rate": 0.1,
            "noise": 0.0,
        },
    ),
    "simulated_reaching": (
        tasks.simulated_reaching,
        {
            "bins": 60,
            "units": 4,
            "kernel_length": 3,
            "onset_probability": 0.25,
            "mean_rate": 10.0,
            "bin_width": 0.05,
            "segment_bins": 20,
            "seed": 0,
        },
    ),
    "SignalOptions": (
        windows.SignalOptions,
        {"gravity": True, "magnitude": False, "lowpass": 5.0},
    ),
    "recommend_timesteps": (
        recommended,
        {"score": 0.5, "proposal": 3, "timesteps": 9, "tolerance": 0.01},
    ),
    "WindowBatches": (
        batched,
        {
            "x": X,
            "y": np.array([0, 1]),
            "standardized": X,
            "batch_size": 1,
            "shuffle": True,
            "seed": 0,
            "drop_remainder": False,
        },
    ),
    "TrialBatches": (
        served,
        {
            "inputs": X,
            "targets": X[..., 0],
            "steps": 1,
            "time_major": True,
        },
    ),
    "window_ends": (
        windows.window_ends,
        {"segment": np.arange(9) // 4, "timesteps": 2, "stride": 1},
    ),
    "Wiener filter": (
        lambda **given: fitted(decoding.WienerFilter, **given),
        {"movement": MOVING, "penalties": [1.0, 10.0], "transforms": ["sqrt"]},
    ),
    "Kalman filter": (
        lambda **given: fitted(decoding.KalmanFilter, **given),
        {"movement": MOVING, "lags": [0, 1], "noise_scale": 1.0},
    ),
    "events": (
        lambda true: vars(score_events(TIMELINE, true)),
        {"true": ["a", "b", "b", "b", "a", "a"]},
    ),
}
PARTS: Doors = {**LAYERS, **MODELS, **OTHERS}
