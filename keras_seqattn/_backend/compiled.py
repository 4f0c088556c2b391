"""A step model as one program, for a fixed number of streams."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Tensors = dict[str, Any]
Run = Callable[[Tensors], Tensors]


def compiled_step(step: keras.Model, inputs: Tensors) -> Run:
    """Return a function that computes what the model does, many times faster.

    Keras' own call costs more than the arithmetic of a step. The weights are
    those of now, as constants: what depends on them alone is computed once.

    Args:
        step: From `step_model`.
        inputs: NumPy arrays and tensors as they will come.
    """
    make = {"jax": _jax, "tensorflow": _tensorflow, "torch": _torch}
    return make[keras.backend.backend()](_frozen(step), inputs)


def compiled_sequence(model: keras.Model) -> Callable[[Any], Any]:
    """As `compiled_step`, of a model of sequences that runs a few times."""
    run = _frozen(model)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(run)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(run, autograph=False)
    import torch

    return torch.no_grad()(run)


def _frozen(model: keras.Model) -> Callable[[Any], Any]:
    weights = [(v, ops.copy(v.value)) for v in model.variables]

    def run(given: Any) -> Any:
        with keras.StatelessScope(state_mapping=weights):
            return model(given)

    return run


def _jax(run: Run, inputs: Tensors) -> Run:
    import jax

    run = jax.jit(run)
    run(inputs)
    return run


def _tensorflow(run: Run, inputs: Tensors) -> Run:
    import tensorflow as tf

    def tensors(given: Tensors) -> Tensors:
        return {name: tf.convert_to_tensor(x) for name, x in given.items()}

    # One program instead of a hundred calls. XLA does not know every layer.
    fast = tf.function(run, autograph=False, jit_compile=True)
    try:
        fast(tensors(inputs))
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
        fast = tf.function(run, autograph=False)
        fast(tensors(inputs))
    return lambda given: fast(tensors(given))


def _torch(run: Run, inputs: Tensors) -> Run:
    import torch

    # Not public. But torch.compile takes half a minute and needs a C++
    # compiler, what torch.export writes runs no faster than Keras' own call,
    # and torch.jit, the fastest, is to be removed.
    from torch.fx.experimental.proxy_tensor import make_fx

    def tensors(given: Tensors) -> list[Any]:
        return [
            x if torch.is_tensor(x := given[name]) else ops.convert_to_tensor(x)
            for name in inputs
        ]

    def call(*given: Any) -> Tensors:
        return run(dict(zip(inputs, given, strict=True)))

    with torch.no_grad():
        traced = make_fx(call)(*tensors(inputs))
        _fold(traced)

    @torch.inference_mode()
    def fast(given: Tensors) -> Tensors:
        return traced(*tensors(given))

    return fast


def _fold(traced: Any) -> None:
    """Compute what depends on no input, in place."""
    from torch.fx.node import map_arg

    nodes = list(traced.graph.nodes)
    schemas = [getattr(node.target, "_schema", None) for node in nodes]
    if any(schema is not None and schema.is_mutable for schema in schemas):
        return
    known = {}
    for node in nodes:
        if node.op == "get_attr":
            known[node] = getattr(traced, node.target)
        elif node.op == "call_function" and all(
            n in known for n in node.all_input_nodes
        ):
            args, kwargs = map_arg((node.args, node.kwargs), lambda n: known[n])
            known[node] = node.target(*args, **kwargs)
    for number, (node, value) in enumerate(known.items()):
        if node.op == "call_function" and any(
            user not in known for user in node.users
        ):
            name = f"folded_{number}"
            traced.register_buffer(name, value)
            with traced.graph.inserting_before(node):
                node.replace_all_uses_with(traced.graph.get_attr(name))
    traced.graph.eliminate_dead_code()
    traced.recompile()
