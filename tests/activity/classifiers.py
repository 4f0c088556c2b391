"""A deployed classifier whose numbers are known."""

import keras
import numpy as np

from keras_seqattn import activity
from keras_seqattn.activity.training import TrainingPart
from keras_seqattn.windows import SignalRecording

CLASSES = ("sit", "walk", "run")
CHANNELS = ("acc", "gyro")
RATE = 10
TIMESTEPS = 8
LEVELS = np.array([0.0, 4.0, 8.0])


def known_windows():
    """Windows of each class, of three people."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    return activity.ActivityWindows(
        x=rng.normal(size=(60, TIMESTEPS, 2))
        + LEVELS[y][:, None, None] * [1, 0],
        y=y,
        subject=np.arange(60) // 20,
        classes=CLASSES,
        channels=CHANNELS,
        rate=RATE,
    )


def known_classifier():
    """Of a window: softmax of the closeness of the mean of `acc` to a level.

    Deployed by the trainer, so that it carries what a trained one carries.
    """
    part = TrainingPart(known_windows(), np.arange(60))
    mean, scale = part.standardizer.mean, part.standardizer.scale
    inputs = keras.Input((TIMESTEPS, 2))
    x = keras.layers.GlobalAveragePooling1D()(inputs)
    dense = keras.layers.Dense(3, "softmax")
    model = keras.Model(inputs, dense(x))
    # -(a - level)^2 / 2, without what all classes share.
    kernel = np.stack([LEVELS * scale[0], np.zeros(3)])
    dense.set_weights([kernel, LEVELS * mean[0] - LEVELS**2 / 2])
    return part.deploy(model, "known")


def probabilities(window):
    """What it gives for a window of raw `acc`, in float64."""
    exponent = LEVELS * np.mean(window) - LEVELS**2 / 2
    likelihood = np.exp(exponent - exponent.max())
    return likelihood / likelihood.sum()


def recording(acc, segment=None, **changes):
    """A recording of this signal."""
    acc = np.asarray(acc, "float32")
    return SignalRecording(
        **{
            "signal": np.stack([acc, np.full(len(acc), 3.0)], axis=1),
            "times": 100 + np.arange(len(acc)) / RATE,
            "segment": np.zeros(len(acc), int) if segment is None else segment,
            "channels": CHANNELS,
            "rate": RATE,
            **changes,
        }
    )
