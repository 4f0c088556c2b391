"""Train on two devices: python -m tests.callbacks.two_devices FOLDER.

JAX's DataParallel and TensorFlow's MirroredStrategy on two virtual devices of
one CPU; on torch two processes. `train` is what the tests do on one device.
"""

import os
import pathlib
import sys

if __name__ == "__main__" and os.environ["KERAS_BACKEND"] == "jax":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import keras
import numpy as np

from keras_seqattn.layers import LARNN
from tests.backend import BACKEND
from tests.backend import to_numpy
from tests.models.burst_prop_cases import X
from tests.models.burst_prop_cases import Y
from tests.models.burst_prop_cases import compiled_network

EPOCHS = 7  # of three steps
BATCH = 8
SIGNAL = np.random.default_rng(4).normal(size=(24, 9, 5)).astype("float32")


def burst_prop():
    model = compiled_network(
        feedback="kolen_pollack",
        recurrent=True,
        weight_decay=1e-3,
        kernel_regularizer=keras.regularizers.L2(0.01),
    )
    return model, X, Y


def batch_statistics():
    """Weights that do not learn: what moves are the statistics."""
    model = keras.Sequential(
        [LARNN(4, num_heads=2, window_size=3, normalization="batch")]
    )
    model.build((None, *SIGNAL.shape[1:]))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    return model, SIGNAL, SIGNAL[:, 0, :4]


CASES = {f.__name__: f for f in (burst_prop, batch_statistics)}


def part(x, rank, ranks):
    """What one of several devices sees of each batch."""
    if BACKEND == "tensorflow":
        x = x.reshape(-1, ranks, BATCH // ranks, *x.shape[1:])[:, rank]
        return x.reshape(-1, *x.shape[2:])
    return x[rank::ranks]


def train(case, rank=0, ranks=1, seed=5, callbacks=()):
    """Return the loss of each epoch and all weights, by name."""
    keras.utils.set_random_seed(seed)
    model, x, y = CASES[case]()
    history = model.fit(
        *(part(x, rank, ranks), part(y, rank, ranks)),
        batch_size=BATCH // ranks,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
    )
    found = {
        f"{number} {variable.name}": to_numpy(variable)
        for number, variable in enumerate(model.weights)
    }
    return {**found, "loss": np.array(history.history["loss"])}


def save_all(folder, devices, rank=0, callbacks=()):
    ranks = devices if callbacks else 1
    for case in CASES:
        # Other first weights on another rank: those of rank 0 count.
        found = train(case, rank, ranks, 5 + rank, callbacks)
        np.savez(folder / f"{case}_{rank}.npz", devices=devices, **found)


def main(folder):
    if BACKEND == "torch":
        import torch

        torch.multiprocessing.spawn(torch_process, (folder,), nprocs=2)
    elif BACKEND == "jax":
        import jax

        with keras.distribution.DataParallel().scope():
            save_all(folder, jax.device_count())
    else:
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2
        )
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        with strategy.scope():
            save_all(folder, strategy.num_replicas_in_sync)


def torch_process(rank, folder):
    import torch

    from keras_seqattn.callbacks.torch_data_parallel import TorchDataParallel

    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        *("gloo", f"file://{folder}/meeting"), rank=rank, world_size=2
    )
    save_all(folder, 2, rank, [TorchDataParallel()])
    model, x, y = burst_prop()
    count = 8 + 8 * rank
    try:
        model.fit(
            *(x[:count], y[:count]),
            batch_size=4,
            verbose=0,
            callbacks=[TorchDataParallel()],
        )
    except ValueError as error:
        (folder / f"refused_{rank}.txt").write_text(str(error))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
