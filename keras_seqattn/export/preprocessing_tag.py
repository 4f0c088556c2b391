"""The preprocessing within a model, and so within its `.keras` file."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras

from keras_seqattn._keras_internals import find_layers
from keras_seqattn.export.preprocessing import Preprocessing


@keras.saving.register_keras_serializable(package="keras_seqattn")
class PreprocessingTag(keras.layers.Layer):
    """Changes nothing, and carries a `Preprocessing`.

    It travels in the `.keras` file of a model and of its one-step twin;
    `preprocessing_of` finds it there, and an export writes it into the
    artifact.

    Args:
        preprocessing: A `Preprocessing`, or its fields as a dictionary.

    Input shape:
        Any.

    Output shape:
        That of the input.

    Masking:
        A mask is passed on.

    Raises:
        ValueError: A dictionary of other fields, or as `Preprocessing`.

    Example:
    ```python
    import keras
    import keras_seqattn as ks
    from keras_seqattn.export import PreprocessingTag

    tag = PreprocessingTag({"mean": [0] * 30, "scale": [1] * 30, "lag": 0.1})
    decoder = ks.models.build_neural_decoder(timesteps=5, channels=30, units=8)
    counts = keras.Input((5, 30), name="counts")
    keras.Model(counts, decoder(tag(counts))).save("tagged.keras")

    model = keras.saving.load_model("tagged.keras")
    print(ks.export.preprocessing_of(model).lag)  # 0.1
    ```
    """

    def __init__(
        self, preprocessing: Preprocessing | Mapping[str, Any], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # What passes through keeps its type.
        self.supports_masking = True
        self.preprocessing = _preprocessing(preprocessing)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        fields = self.preprocessing.to_dict()
        # A stream of this model goes on under the next version.
        del fields["package_version"]
        return {**super().get_config(), "preprocessing": fields}


def preprocessing_of(model: keras.Model) -> Preprocessing | None:
    """Return what a model says of the recordings that it takes.

    Args:
        model: A `keras.Model`, with a `PreprocessingTag` in it or in a model
            within it. `DecodingData.deploy` puts one into a decoder.

    Returns:
        A `Preprocessing`, or `None` where the model has no such layer.

    Raises:
        TypeError: Not a `keras.Model`.
        ValueError: It has several, and they differ.

    Example:
    ```python
    import keras_seqattn as ks

    recording = ks.tasks.simulated_reaching(bins=1000)
    data = ks.decoding.DecodingData(recording, timesteps=5)
    decoder = ks.models.build_neural_decoder(5, 40, units=8)
    model = data.deploy(decoder)
    print(ks.export.preprocessing_of(model).bin_width)  # 0.064
    print(ks.export.preprocessing_of(decoder))  # None
    ```
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a `keras.Model`. "
            f"Received: model={model!r} of type {type(model).__name__}"
        )
    found = [
        layer.preprocessing
        for layer in find_layers(model)
        if isinstance(layer, PreprocessingTag)
    ]
    if any(other != found[0] for other in found[1:]):
        raise ValueError(
            "A model must say one thing about its recordings. Received: "
            f"{model.name} with {len(found)} `PreprocessingTag` layers that "
            "differ"
        )
    return found[0] if found else None


def preprocessing_to_export(
    model: keras.Model, given: Preprocessing | None
) -> dict[str, Any] | None:
    """Return what an export of a model writes of it, as JSON values.

    Args:
        model: The model.
        given: What the caller says. It may add to what the model carries.

    Returns:
        `Preprocessing.to_dict()`, or `None` where nobody says anything.

    Raises:
        ValueError: The two contradict each other.
    """
    carried = preprocessing_of(model)
    if carried is None or given is None:
        found = carried or given
        return None if found is None else found.to_dict()
    other = [
        field.name
        for field in dataclasses.fields(carried)
        if getattr(carried, field.name) is not None
        and getattr(carried, field.name) != getattr(given, field.name)
    ]
    if other:
        raise ValueError(
            "`preprocessing` must not contradict what the model carries. "
            "Leave it out, or begin with `dataclasses.replace("
            "preprocessing_of(model), ...)` and add what is missing there. "
            f"Received: other values of {other}"
        )
    return given.to_dict()


def _preprocessing(given: Any) -> Preprocessing:
    if isinstance(given, Preprocessing):
        return given
    if not isinstance(given, Mapping):
        raise ValueError(
            "`preprocessing` must be a `Preprocessing`, or its fields as a "
            f"dictionary. Received: preprocessing={given!r}"
        )
    fields = {k: v for k, v in given.items() if k != "package_version"}
    names = [field.name for field in dataclasses.fields(Preprocessing)]
    missing = [name for name in ("mean", "scale") if name not in fields]
    if missing or not fields.keys() <= set(names):
        raise ValueError(
            f"`preprocessing` must have the fields of `Preprocessing`, {names}"
            f". Received: {list(given)}"
        )
    return Preprocessing(**fields)
