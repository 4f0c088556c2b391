"""What the tests need that differs between the backends, written once."""

import functools
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np

BACKEND = keras.backend.backend()
OTHER_BACKENDS = tuple(
    name for name in ("tensorflow", "jax", "torch") if name != BACKEND
)


def to_numpy(structure):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, structure)


def compiled(function):
    """Return a function of tensors, compiled where the backend compiles."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    return function


def gradients(layer, loss, inputs, dtype="float32", **call_arguments):
    """Gradients of `loss(layer(inputs))` by the backend.

    Returns:
        Arrays: for the inputs, then for each trainable variable, in order.
    """
    variables = layer.trainable_variables
    if BACKEND == "tensorflow":
        import tensorflow as tf

        x = tf.constant(inputs, dtype)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(layer(x, **call_arguments))
        found = tape.gradient(
            value, [x, *(variable.value for variable in variables)]
        )
    elif BACKEND == "jax":
        import jax

        arrays = {
            name: jax.numpy.asarray(value)
            for name, value in call_arguments.items()
            if isinstance(value, np.ndarray)
        }
        others = tuple(
            item for item in call_arguments.items() if item[0] not in arrays
        )
        by_x, by_variables = _jax_gradient(layer, loss, others)(
            jax.numpy.asarray(inputs, dtype),
            [variable.value for variable in variables],
            [v.value for v in layer.non_trainable_variables],
            arrays,
        )
        found = [by_x, *by_variables]
    else:
        import torch

        x = torch.tensor(np.asarray(inputs, dtype), requires_grad=True)
        found = torch.autograd.grad(
            loss(layer(x, **call_arguments)),
            [x, *(variable.value for variable in variables)],
            allow_unused=True,
        )
    return [
        np.zeros(like.shape, dtype)
        if gradient is None
        else keras.ops.convert_to_numpy(gradient)
        for gradient, like in zip(found, [inputs, *variables], strict=True)
    ]


@functools.lru_cache(maxsize=8)
def _jax_gradient(layer, loss, call_arguments):
    """The compiled gradient; the same one for other masks and inputs."""
    import jax

    def objective(x, trainable, rest, arrays):
        outputs, _ = layer.stateless_call(
            trainable, rest, x, **arrays, **dict(call_arguments)
        )
        return loss(outputs)

    return jax.jit(jax.grad(objective, argnums=(0, 1)))


def value_function(layer, loss):
    """Return a function from inputs and weights to `loss(layer(inputs))`."""
    if BACKEND == "jax":
        import jax

        rest = [v.value for v in layer.non_trainable_variables]
        return jax.jit(
            lambda x, weights: loss(layer.stateless_call(weights, rest, x)[0])
        )

    def value(x, weights):
        for variable, array in zip(
            layer.trainable_variables, weights, strict=True
        ):
            variable.assign(array)
        return loss(layer(keras.ops.convert_to_tensor(x)))

    return value


@functools.cache
def _loader(backend):
    """A process that never saw the model. Started once: imports take long."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.load_model"],
        env={**os.environ, "KERAS_BACKEND": backend},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def load_elsewhere(backend, model_path, inputs, directory):
    """Predict with a `.keras` file on another backend, in another process."""
    directory = pathlib.Path(directory)
    np.save(directory / "inputs.npy", inputs)
    outputs = directory / f"{backend}.npz"
    loader = _loader(backend)
    paths = model_path, directory / "inputs.npy", outputs
    loader.stdin.write(json.dumps([str(path) for path in paths]) + "\n")
    loader.stdin.flush()
    answer = loader.stdout.readline()
    assert answer, f"the process that loads files on {backend} ended"
    assert json.loads(answer) == ""
    with np.load(outputs) as file:
        assert str(file["backend"]) == backend
        return [file[f"output_{i}"] for i in range(len(file.files) - 1)]


def outputs_and_gradient(
    layer, weigh, inputs, dtype="float32", **call_arguments
):
    """Call a layer, compiled where the backend compiles, and differentiate.

    Args:
        weigh: Function of the layer's outputs to a number, and to the tensors
            that are to be returned.

    Returns:
        Arrays: these tensors, and the gradient of the number by the inputs.
    """
    arrays = {
        name: keras.ops.convert_to_tensor(value)
        for name, value in call_arguments.items()
        if isinstance(value, np.ndarray)
    }
    others = {k: v for k, v in call_arguments.items() if k not in arrays}
    x = keras.ops.convert_to_tensor(inputs, dtype)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            number, outputs = weigh(layer(x, **arrays, **others))
        gradient = tape.gradient(number, x)
    elif BACKEND == "jax":
        import jax

        def objective(x, trainable, rest, arrays):
            found, _ = layer.stateless_call(
                trainable, rest, x, **arrays, **others
            )
            return weigh(found)

        (_, outputs), gradient = jax.jit(
            jax.value_and_grad(objective, has_aux=True)
        )(
            x,
            [variable.value for variable in layer.trainable_variables],
            [variable.value for variable in layer.non_trainable_variables],
            arrays,
        )
    else:
        import torch

        x.requires_grad_(True)
        number, outputs = weigh(layer(x, **arrays, **others))
        (gradient,) = torch.autograd.grad(number, x, allow_unused=True)
    return to_numpy([*outputs, gradient])
