"""Causal models of every kind, with weights that are not those of a start."""

import keras
import numpy as np
from keras import layers

import keras_seqattn as ks

FEATURES = 3


def sequential(*stack, timesteps=None):
    inputs = keras.Input((timesteps, FEATURES), name="signal")
    x = inputs
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, x)


def larnn_stack():
    return sequential(
        ks.layers.LARNN(6, 2, 4, return_sequences=True),
        layers.LayerNormalization(axis=2),
        ks.layers.LARNN(4, 2, 3, return_sequences=True, normalization="batch"),
        layers.Dense(2),
    )


def decoder():
    """As `build_neural_decoder`, with each cell and an output a step."""
    return sequential(
        layers.Normalization(mean=0.3, variance=2.0),
        layers.LSTM(6, return_sequences=True),
        layers.LayerNormalization(),
        layers.Dropout(0.5),
        layers.GRU(5, return_sequences=True),
        layers.SimpleRNN(4, return_sequences=True),
        layers.Dense(4, "relu"),
        layers.Dense(2),
    )


def gru():
    return sequential(
        layers.GRU(5, return_sequences=True, reset_after=False),
        layers.Dense(2),
    )


def memory_network():
    return ks.models.build_memory_network(
        "association",
        features=FEATURES,
        outputs=2,
        units=2,
        controller_units=4,
    )


def burst_network(**settings):
    network = ks.models.BurstPropNetwork([5, 4, 2], mode="temporal", **settings)
    network.build((None, None, FEATURES))
    return network


# Those that the issue of streaming names, with an output at every step.
LONG = {
    "larnn_stack": larnn_stack,
    "decoder": decoder,
    "memory_network": memory_network,
    "burst_network": burst_network,
}


def activity_classifier(**settings):
    return ks.models.build_activity_classifier(
        None,
        FEATURES,
        classes=3,
        units=4,
        num_heads=2,
        window_size=3,
        **settings,
    )


def residual_classifier():
    return activity_classifier(
        num_layers=2,
        residual=True,
        projection_units=4,
        stem_filters=(),
        normalization="layer",
    )


def neurons(**settings):
    return sequential(ks.layers.GainModulatedNeuron(4, 3, **settings))


def dilated_convolutions():
    return sequential(
        layers.Conv1D(4, 3, padding="causal", dilation_rate=2),
        layers.Conv1D(4, 2, padding="causal", groups=2, activation="relu"),
        layers.Dense(2),
    )


def stacked_cells():
    cells = [
        layers.LSTMCell(4),
        layers.SimpleRNNCell(3),
        ks.layers.LARNNCell(4, 2, 3),
    ]
    return sequential(
        layers.RNN(layers.StackedRNNCells(cells), return_sequences=True)
    )


def nested_models():
    inner = sequential(layers.Dense(4), layers.LSTM(4, return_sequences=True))
    inputs = keras.Input((None, FEATURES), name="signal")
    head = keras.Sequential([layers.Dense(3), layers.SimpleRNN(3)])
    return keras.Model(inputs, head(inner(inputs)))


def returned_states():
    inputs = keras.Input((None, FEATURES), name="signal")
    sequence, hidden, cell = layers.LSTM(
        4, return_sequences=True, return_state=True
    )(inputs)
    last = layers.GRU(3)(sequence[:, :, 1:])
    return keras.Model(inputs, layers.Concatenate()([last, hidden, cell]))


def shared_layer():
    inputs = keras.Input((None, FEATURES), name="signal")
    layer = layers.SimpleRNN(FEATURES, return_sequences=True)
    return keras.Model(inputs, layer(layer(inputs)) + inputs)


def half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    return sequential(
        layers.Dense(4),
        layers.LSTM(4, return_sequences=True),
        layers.Dense(2, dtype="float32"),
    )


SHORT = {
    "classifier_last_step": residual_classifier,
    "classifier_with_strides": lambda: activity_classifier(stem_filters=(4, 5)),
    "neurons_feedback_wrap": lambda: neurons(
        controller="gru",
        controller_input="input_and_output",
        lag=2,
        first_step="wrap",
    ),
    "neurons_of_their_own_skip": lambda: neurons(
        shared_controller=False, first_step="skip", controller="rnn"
    ),
    "bursts_of_2017": lambda: burst_network(
        variant="weighted_burst_rate_change"
    ),
    "dilated_convolutions": dilated_convolutions,
    "strides_alone": lambda: sequential(
        layers.Conv1D(4, 1, strides=3, padding="causal"), layers.Dense(2)
    ),
    "stacked_cells": stacked_cells,
    "nested_models": nested_models,
    "returned_states": returned_states,
    "shared_layer": shared_layer,
    "half_precision": half_precision,
}


def make(build):
    """Build a model and give it weights without a zero, contractive."""
    model = build()
    rng = np.random.default_rng(0)
    limits = {
        "gamma": (0.5, 1.0),
        "variance": (1, 2),
        "moving_variance": (1, 2),
    }
    model.set_weights(
        [
            rng.uniform(*limits[variable.name], value.shape)
            if variable.name in limits
            else rng.normal(scale=0.3, size=value.shape)
            for variable, value in zip(
                model.weights, model.get_weights(), strict=True
            )
        ]
    )
    return model
