"""Small models that the export tests share."""

import keras
import numpy as np

import keras_seqattn as ks

PREPROCESSING = ks.export.Preprocessing(
    mean=[0.5, 0.25, 0.0, 1.0, 2.0],
    scale=[1.0, 2.0, 4.0, 8.0, 16.0],
    transform="sqrt",
    window=20,
    timesteps=7,
    bin_width=0.05,
    rate=20,
    signal_options={"lowpass": 5.0, "magnitudes": ["acc"]},
    lag=-0.1,
    quantity="velocity (cm/s)",
    channels=["a", "b", "c", "d", "e"],
    unit_ids=[3, "8b", 12, 13, 21],
    classes=["rest", "reach"],
    units={"spikes": "1 / bin", "decoded": "cm/s"},
)


def decoder(timesteps=None):
    return ks.models.build_neural_decoder(timesteps, 5, units=4, head_units=3)


def step():
    """A step model by hand: its state comes back as an output."""
    x, state = keras.Input((3,), name="x"), keras.Input((4,), name="state")
    y, new = keras.layers.GRUCell(4, name="cell")(x, [state])
    return keras.Model(
        {"x": x, "state": state}, {"y": y, "next_state": new[0]}, name="step"
    )


def two_outputs():
    x = keras.Input((3,))
    outputs = [keras.layers.Dense(2)(x), keras.layers.Dense(1)(x)]
    return keras.Model(x, outputs)


def signal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")
