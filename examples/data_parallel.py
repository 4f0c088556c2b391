"""Train on several devices at once, and compare with training on one.

    KERAS_BACKEND=jax python examples/data_parallel.py
    python examples/data_parallel.py --devices 4 --epochs 10

A LARNN classifier and a network that learns by bursts are trained on one
device and on several, each batch spread over them, from the same weights. It
prints both losses after the last step. What there is of accelerators is used;
where there are fewer than `--devices`, virtual devices of the CPU take their
place, which shows that the numbers agree, and gains no time.

What each backend needs is in `train_on_several`: `keras.distribution` on JAX,
`tf.distribute` on TensorFlow, and on torch one process a device.
"""

import argparse
import contextlib
import os
import pathlib
import tempfile

# What TensorFlow says at each start, and the computation it speaks of.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np

import keras_seqattn as ks

BACKEND = keras.backend.backend()
STEPS_PER_EPOCH = 4


def larnn_classifier(examples):
    """A model, and its data: did the signal move much?"""
    signal = np.random.default_rng(0).normal(size=(examples, 20, 3))
    moves = np.abs(signal).sum(axis=(1, 2))
    labels = (moves > np.median(moves)).astype("int32")
    model = ks.models.build_activity_classifier(
        *(20, 3, 2), units=16, num_heads=4, dropout=0.0
    )
    model.compile(
        keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy"
    )
    return model, signal.astype("float32"), labels


def burst_prop_network(examples):
    """A model whose `train_step` is its own, and its data."""
    x = np.random.default_rng(1).normal(size=(examples, 2))
    y = np.eye(2)[(np.square(x).sum(axis=1) > 1.4).astype(int)]
    model = ks.models.BurstPropNetwork(
        [40, 20, 2], feedback="kolen_pollack", recurrent=True
    )
    model.build((None, 2))
    model.compile(keras.optimizers.Adam(0.03), "mse")
    return model, x.astype("float32"), y.astype("float32")


BUILDERS = {
    "LARNN classifier": larnn_classifier,
    "BurstPropNetwork": burst_prop_network,
}


def train(build, epochs, batch_size, rank=0, ranks=1, callbacks=()):
    """Train, and return the loss over all data after the last step.

    Only torch's processes have ranks. Each takes its part of every batch.
    """
    keras.utils.set_random_seed(0)  # the same first weights everywhere
    model, x, y = build(STEPS_PER_EPOCH * batch_size)
    model.fit(
        *(x[rank::ranks], y[rank::ranks]),
        batch_size=batch_size // ranks,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
    )
    return model.evaluate(x, y, batch_size=batch_size, verbose=0)


def train_on_several(devices, epochs, batch_size):
    """Train each model on `devices` devices, and return the losses by name."""
    if BACKEND == "torch":
        return torch_losses(devices, epochs, batch_size)
    scope = jax_scope if BACKEND == "jax" else tensorflow_scope
    with scope(devices):
        return {
            name: train(build, epochs, batch_size)
            for name, build in BUILDERS.items()
        }


@contextlib.contextmanager
def jax_scope(devices):
    """Models made and trained within have each batch spread over devices."""
    names = keras.distribution.list_devices()
    if len(names) < devices:
        names = keras.distribution.list_devices("cpu")
    if len(names) < devices:
        raise SystemExit(f"JAX has {len(names)} devices, {devices} are wanted")
    with keras.distribution.DataParallel(devices=names[:devices]).scope():
        yield


def tensorflow_scope(devices):
    """Models made within are copied to each device. One scope a process."""
    import tensorflow as tf

    kind = "GPU" if len(tf.config.list_physical_devices("GPU")) else "CPU"
    if len(tf.config.list_logical_devices(kind)) < devices:
        kind = "CPU"
    names = [f"{kind}:{number}" for number in range(devices)]
    return tf.distribute.MirroredStrategy(names).scope()


def torch_losses(devices, epochs, batch_size):
    """Start one process a device. On several machines `torchrun` does it."""
    import torch

    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(
            torch_process, (devices, epochs, batch_size, folder), nprocs=devices
        )
        with np.load(pathlib.Path(folder, "losses.npz")) as losses:
            return {name: float(losses[name]) for name in BUILDERS}


def torch_process(rank, devices, epochs, batch_size, folder):
    import torch

    from keras_seqattn.callbacks.torch_data_parallel import TorchDataParallel

    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meeting",
        rank=rank,
        world_size=devices,
    )
    losses = {
        name: train(
            *(build, epochs, batch_size, rank, devices),
            callbacks=[TorchDataParallel()],
        )
        for name, build in BUILDERS.items()
    }
    if rank == 0:
        np.savez(pathlib.Path(folder, "losses.npz"), **losses)
    torch.distributed.destroy_process_group()


def split_cpu(devices):
    """Make virtual devices, before the backend makes the first one."""
    if BACKEND == "jax":
        import jax

        jax.config.update("jax_num_cpu_devices", devices)
    elif BACKEND == "tensorflow":
        import tensorflow as tf

        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * devices,
        )


def main(devices, epochs, batch_size):
    split_cpu(devices)
    several = train_on_several(devices, epochs, batch_size)
    steps = epochs * STEPS_PER_EPOCH
    print(f"Loss after {steps} steps on {BACKEND}, batches of {batch_size}")
    for name, build in BUILDERS.items():
        one = train(build, epochs, batch_size)
        print(
            f"{name}: {one:.7f} on 1 device, {several[name]:.7f} on "
            f"{devices}, difference {abs(one - several[name]):.1e}"
        )


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=5, help="of 4 steps each")
    parser.add_argument("--batch-size", type=int, default=32)
    arguments = parser.parse_args()
    if min(vars(arguments).values()) < 1:
        parser.error("every number must be 1 or more")
    if arguments.batch_size % arguments.devices:
        parser.error(
            f"{arguments.devices} devices cannot share a batch of "
            f"{arguments.batch_size} equally: choose a multiple of "
            f"{arguments.devices} for --batch-size"
        )
    return arguments


if __name__ == "__main__":
    main(**vars(parse_arguments()))
