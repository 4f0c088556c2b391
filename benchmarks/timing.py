"""A layer as functions to be timed, on any backend."""

import functools

import keras


def forward_and_train_step(layer, inputs, input_gradient=True, compiled=True):
    """Return two functions without arguments that compute and wait.

    The train step is the loss and its gradient by the weights, and by the
    inputs if asked for. Compiled where the backend compiles, unless told not
    to.
    """
    layer.build(inputs.shape)
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        x = tf.constant(inputs)
        weights = [variable.value for variable in layer.trainable_variables]

        def forward():
            return layer(x)

        def train_step():
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_sum(layer(x, training=True) ** 2)
            sources = [x, *weights] if input_gradient else weights
            return tape.gradient(loss, sources), loss

        if compiled:
            forward, train_step = tf.function(forward), tf.function(train_step)
        return lambda: forward().numpy(), lambda: train_step()[1].numpy()
    if backend == "jax":
        import jax

        x = jax.numpy.asarray(inputs)
        weights = [variable.value for variable in layer.trainable_variables]
        rest = [v.value for v in layer.non_trainable_variables]

        def call(x, weights, training):
            return layer.stateless_call(weights, rest, x, training=training)[0]

        forward = functools.partial(call, training=False)
        train_step = jax.value_and_grad(
            lambda x, w: (call(x, w, training=True) ** 2).sum(),
            argnums=(0, 1) if input_gradient else 1,
        )
        if compiled:
            forward, train_step = jax.jit(forward), jax.jit(train_step)
        return (
            lambda: jax.block_until_ready(forward(x, weights)),
            lambda: jax.block_until_ready(train_step(x, weights)),
        )
    import torch

    x = torch.tensor(inputs, requires_grad=input_gradient)
    weights = [variable.value for variable in layer.trainable_variables]

    def forward():
        with torch.no_grad():
            return layer(x)

    def train_step():
        loss = (layer(x, training=True) ** 2).sum()
        sources = [x, *weights] if input_gradient else weights
        return torch.autograd.grad(loss, sources), loss

    return forward, train_step
