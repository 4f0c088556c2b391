"""A model that also returns its attention scores."""

import inspect
from typing import Any

import keras


def with_attention_scores(model: keras.Model) -> keras.Model:
    """Return a copy of a model with attention scores as further outputs.

    Each layer that can return its scores is asked for them in the same pass
    that gives the outputs, so they cost nothing but their memory.

    Args:
        model: A functional or Sequential model with a layer whose `call`
            takes `return_attention_scores`: `TemporalAttention`, `LARNN`, or
            `keras.layers.MultiHeadAttention`. Not within a nested model.

    Returns:
        A functional model from the same inputs to a dictionary: the outputs by
        their names and `"attention_scores"`; where there are several such
        layers, `"<layer>_attention_scores"` of each. Where a layer is called
        again, its name is followed by `_again`.

    Raises:
        TypeError: Not a `keras.Model`.
        ValueError: The model is not functional or has no such layer, or an
            output has such a name.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a `keras.Model`. "
            f"Received: model={model!r} of type {type(model).__name__}"
        )
    if isinstance(model, keras.Sequential) and model.built:
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    found = any(map(_has, model.layers))
    if not hasattr(model, "output_names") or not found:
        raise ValueError(
            "Attention scores need a functional model with a layer that "
            "returns them, such as `TemporalAttention` or `LARNN`, and not "
            "within a nested model or a wrapper. Export without "
            "`attention_scores`, or build the model with attention. "
            f"Received: {model.name}, a {type(model).__name__} with the "
            f"layers {[layer.name for layer in model.layers]}"
        )
    scores: dict[str, Any] = {}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if not _has(layer):
            return layer(*args, **kwargs)
        wanted = kwargs.get("return_attention_scores")
        found = layer(*args, **{**kwargs, "return_attention_scores": True})
        name = layer.name
        while name in scores:
            name += "_again"
        scores[name] = found[-1]
        rest = found if wanted else found[:-1]
        return rest if len(rest) > 1 else rest[0]

    copy = keras.models.clone_model(model, call_function=call)
    copy.set_weights(model.get_weights())
    outputs = copy.output
    if not isinstance(outputs, dict):
        outputs = dict(
            zip(model.output_names, keras.tree.flatten(outputs), strict=True)
        )
    if len(scores) == 1:
        scores = {"attention_scores": next(iter(scores.values()))}
    else:
        scores = {f"{name}_attention_scores": x for name, x in scores.items()}
    taken = sorted(set(scores) & set(outputs))
    if taken:
        raise ValueError(
            f"The attention scores would have the names {taken}, which outputs "
            "of the model have already: name its layers or outputs otherwise. "
            f"Received: {model.name}, with outputs {list(outputs)}"
        )
    return keras.Model(copy.input, {**outputs, **scores}, name=model.name)


def _has(layer: Any) -> bool:
    call = getattr(layer, "call", None)
    return call is not None and (
        "return_attention_scores" in inspect.signature(call).parameters
    )
