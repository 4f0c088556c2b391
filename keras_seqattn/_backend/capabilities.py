"""What a layer asks of the backend before it chooses a way to compute."""

import keras


def fuses_loop_bodies() -> bool:
    """Whether a compiler fuses what one turn of `scan` computes.

    A small tensor is then cheaper computed within the loop than read in it.
    """
    return keras.backend.backend() == "jax"


def fuses_layer_normalization() -> bool:
    """Whether `ops.layer_normalization` is one operation, not several."""
    return keras.backend.backend() == "torch"


def sums_faster_by_halves() -> bool:
    """Whether a fused step adds up rows faster by halves than by `ops.sum`.

    TensorFlow's XLA fuses into a sum all that its terms are computed from,
    and then takes each number's terms one by one, from rows far apart.
    Eagerly there is no such step.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.executing_eagerly()


def may_be_differentiated() -> bool:
    """Whether a tape of TensorFlow is on: as in `fit`, not in an export."""
    if keras.backend.backend() != "tensorflow":
        return True
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
