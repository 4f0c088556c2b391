"""Train on two devices: python -m tests.distributed_burst_prop OUT.

TensorFlow's MirroredStrategy and JAX's DataParallel, on two virtual devices
of one CPU. Keras has no distribution for torch; there, one device.
"""

import os
import sys

if os.environ["KERAS_BACKEND"] == "jax":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import contextlib

import keras
import numpy as np

from tests.models.burst_prop_cases import X
from tests.models.burst_prop_cases import Y
from tests.models.burst_prop_cases import compiled_network
from tests.models.burst_prop_cases import weights


def main(outputs_path):
    scope = contextlib.nullcontext()
    devices = 1
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2
        )
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        devices = strategy.num_replicas_in_sync
        scope = strategy.scope()
    elif keras.backend.backend() == "jax":
        import jax

        devices = jax.device_count()
        keras.distribution.set_distribution(keras.distribution.DataParallel())
    with scope:
        model = compiled_network(
            feedback="kolen_pollack", recurrent=True, weight_decay=1e-3
        )
        history = model.fit(
            X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0
        )
    np.savez(
        outputs_path,
        devices=devices,
        loss=history.history["loss"],
        **{f"weight_{i}": w for i, w in enumerate(weights(model))},
    )


if __name__ == "__main__":
    main(sys.argv[1])
