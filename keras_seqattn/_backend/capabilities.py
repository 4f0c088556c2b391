"""What a layer asks of the backend before it chooses a way to compute."""

import sys

import keras


def fuses_loop_bodies() -> bool:
    """Whether a compiler fuses what one turn of `scan` computes, unasked.

    A small tensor is then cheaper computed within the loop than read in it.
    """
    return keras.backend.backend() == "jax"


def fuses_on_request() -> bool:
    """Whether `scan` may be asked to fuse its steps: in TensorFlow's graphs."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    # Eagerly it would be compiled at each call. Without XLA, as Keras knows
    # too, on a Mac's GPU.
    return not tf.executing_eagerly() and not (
        sys.platform == "darwin" and tf.config.list_physical_devices("GPU")
    )


def fuses_layer_normalization() -> bool:
    """Whether `ops.layer_normalization` is one operation, not several."""
    return keras.backend.backend() == "torch"


def is_watched() -> bool:
    """Whether a tape of TensorFlow is on: as in `fit`, not in an export."""
    if keras.backend.backend() != "tensorflow":
        return False
    from tensorflow.python.eager import record  # Not published.

    return bool(record.could_possibly_record())


def runs_plain_rnn_faster() -> bool:
    """Whether Keras' LSTM and GRU are faster with `use_cudnn=False`.

    So they are on torch without a GPU: Keras' other path fills a gradient of
    the whole sequence at every step, and its plain loop is 5 times faster.
    """
    if keras.backend.backend() != "torch":
        return False
    import torch

    return not torch.cuda.is_available()
