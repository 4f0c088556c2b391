"""Keras callbacks: watch learning by bursts, train on several processes."""

from keras_seqattn.callbacks.burst_prop_monitor import (
    BurstPropMonitor as BurstPropMonitor,
)
from keras_seqattn.callbacks.torch_data_parallel import (
    TorchDataParallel as TorchDataParallel,
)
