"""How a training step written by hand runs inside `fit`, on each backend.

A model's own rule is a method `learn(data)`, the same on the three backends:
it reads and assigns the model's variables, hands gradients to
`apply_gradients` and returns the logs. What differs is here.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras

from keras_seqattn._backend.ranks import sum_over_ranks
from keras_seqattn._backend.ranks import torch_ranks


def run_train_step(
    model: keras.Model, learn: Callable[[Any], Any], arguments: Sequence[Any]
) -> Any:
    """Call `learn(data)` as the backend's `fit` calls `train_step`.

    Args:
        model: The model that is fitted.
        learn: Its rule.
        arguments: What `train_step` received: `(data,)`, and on JAX
            `(state, data)`, the state being the values of all variables.

    Returns:
        What `train_step` has to return: the logs, and on JAX the new state.
    """
    if keras.backend.backend() == "jax":
        state, data = arguments
        variables = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
        # Within the scope, variables read and write these values.
        mapping = [
            pair
            for names, values in zip(variables, state, strict=True)
            for pair in zip(names, values, strict=True)
        ]
        with keras.StatelessScope(state_mapping=mapping):
            logs = learn(data)
            return logs, tuple([v.value for v in vs] for vs in variables)
    if keras.backend.backend() == "torch":
        import torch

        with torch.no_grad():
            return learn(*arguments)
    return learn(*arguments)


def apply_gradients(
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[Any],
    variables: Sequence[keras.Variable],
) -> None:
    """Let an optimizer change variables.

    The gradients are scaled as a loss would be, since an optimizer for half
    precision divides by its scale again. On JAX that optimizer's `apply`
    would assign within a branch, so its stateless form is used. Gradients of
    several replicas are summed: by the optimizer on TensorFlow, where the
    arrays are sharded on JAX, here on torch.
    """
    gradients = sum_over_ranks(gradients)
    gradients = [optimizer.scale_loss(gradient) for gradient in gradients]
    if keras.backend.backend() != "jax":
        optimizer.apply(gradients, variables)
        return
    values = optimizer.stateless_apply(
        [v.value for v in optimizer.variables],
        gradients,
        [v.value for v in variables],
    )
    for names, new in zip(
        (variables, optimizer.variables), values, strict=True
    ):
        for variable, value in zip(names, new, strict=True):
            variable.assign(value)


def computed(tensors: Sequence[Any]) -> list[Any]:
    """The same tensors, none of which can be used before all are computed.

    A layer's update needs nothing of the layers below it, which still have to
    read its weights. TensorFlow on a CPU then updates them in place while they
    are being read: one training in ten came out different.
    """
    if keras.backend.backend() != "tensorflow":
        return list(tensors)
    import tensorflow as tf

    with tf.control_dependencies(tensors):
        return [tf.identity(tensor) for tensor in tensors]


def penalty_gradient(variable: keras.Variable) -> Any:
    """Gradient of a variable's own regularizer, `None` without one.

    Where several replicas add up their gradients, its share of one.
    """
    penalty = variable.regularizer
    if penalty is None:
        return None
    value = variable.value
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(penalty)(value)
    if keras.backend.backend() == "torch":
        import torch

        with torch.enable_grad():
            value = value.detach().requires_grad_()
            return torch.autograd.grad(penalty(value), value)[0] / replicas()
    import tensorflow as tf

    value = tf.identity(value)
    with tf.GradientTape() as tape:
        tape.watch(value)
        loss = penalty(value)
    return tape.gradient(loss, value) / replicas()


def replicas() -> int:
    """Number of copies of the model that are trained together.

    Those of a TensorFlow strategy, or torch's processes. On JAX there is one,
    whose arrays may be spread over devices.
    """
    if keras.backend.backend() != "tensorflow":
        return torch_ranks()
    import tensorflow as tf

    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def whole_loss(loss: Any) -> Any:
    """A loss to report, of one that Keras computed.

    Under a TensorFlow strategy that is a replica's share of it.
    """
    if keras.backend.backend() == "tensorflow":
        return replicas() * loss
    return loss


def add_changes(variable: keras.Variable, change: Any) -> None:
    """Add to a variable what all replicas found."""
    if keras.backend.backend() == "tensorflow":
        # What replicas assign is averaged.
        change = replicas() * change
    (change,) = sum_over_ranks([change])
    variable.assign_add(change)


def ensure_shape(values: Any, shape: tuple[int | None, ...]) -> Any:
    """Values whose sizes may be unknown before the step runs, as in TensorFlow.

    There they get these sizes, or the step fails. A reshape would not do: it
    is optimized away, and one sequence then passes for a batch of several.
    """
    if keras.backend.backend() != "tensorflow":
        return values
    import tensorflow as tf

    return tf.ensure_shape(values, shape)
