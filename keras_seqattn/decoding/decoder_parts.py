"""A deployed decoder taken apart: a read-in for other units, and its core."""

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_seqattn.decoding.deployed import check_recording
from keras_seqattn.export.preprocessing import Preprocessing
from keras_seqattn.export.preprocessing_tag import PreprocessingTag
from keras_seqattn.export.preprocessing_tag import preprocessing_of
from keras_seqattn.windows.recording import Recording
from keras_seqattn.windows.standardizer import Standardizer

STANDARDIZE, READ_IN, CORE = "standardize", "read_in", "core"


class DecoderParts:
    """A decoder taken apart, and how it hears the units of a recording.

    Attributes:
        said: Its `Preprocessing`, for the units of the recording.
        standardizer: Of the recording's units, by the decoder's own numbers.
        start: Kernel and bias of the read-in.
    """

    def __init__(self, decoder: keras.Model, recording: Recording) -> None:
        said = preprocessing_of(decoder)
        names = [layer.name for layer in decoder.layers]
        if (
            said is None
            or not said.in_model
            or STANDARDIZE not in names
            or len(decoder.output_shape) != 2
        ):
            raise ValueError(
                "`decoder` must be of `DecodingData.deploy` or `calibrate`, "
                "and decode one value an axis for each window. Received: "
                f"{decoder.name} with the layers {names}"
            )
        self._match(said, recording, decoder.output_shape[1])
        self.length = decoder.input_shape[1]
        self.timesteps = int(self.length or said.timesteps or said.window or 1)
        kernel, bias = np.eye(len(said.mean)), np.zeros(len(said.mean))
        if READ_IN in names:
            core = decoder.get_layer(CORE)
            kernel, bias = decoder.get_layer(READ_IN).get_weights()
        else:
            standardized = decoder.get_layer(STANDARDIZE).output
            core = keras.Model(standardized, decoder.output, name=CORE)
        self.core = keras.models.clone_model(core)
        self.core.set_weights(core.get_weights())
        heard = np.where(self.is_known[:, None], kernel[self.place], 0.0)
        self.start = heard, bias

    def _match(
        self, said: Preprocessing, recording: Recording, axes: int
    ) -> None:
        """Find each unit of the recording among the decoder's."""
        units = recording.spikes.shape[1]
        has_ids = said.unit_ids is not None and recording.unit_ids is not None
        # Without ids the units must be as many, and are the same, in order.
        of_all: dict[str, Any] = {
            "mean": [0.0] * units,
            "scale": [1.0] * units,
            "channels": None,
        }
        check_recording(
            dataclasses.replace(said, unit_ids=None, **of_all)
            if has_ids
            else said,
            recording,
            axes,
        )
        place = np.arange(units)
        if has_ids:
            by_id = {unit: i for i, unit in enumerate(said.unit_ids or ())}
            found = recording.unit_ids or ()
            place = np.array([by_id.get(unit, -1) for unit in found])
        self.place, self.is_known = place, place >= 0
        self.standardizer = Standardizer(
            np.where(self.is_known, np.asarray(said.mean)[place], 0.0),
            np.where(self.is_known, np.asarray(said.scale)[place], 1.0),
        )
        self.said = dataclasses.replace(
            said, unit_ids=recording.unit_ids, **of_all
        )

    def check_known(self) -> None:
        if not self.is_known.any():
            raise ValueError(
                "The recording has none of the units that the decoder knows, "
                "by their `unit_ids`: without movement nothing can be said of "
                "new ones. Give some `minutes` with `labels`."
            )

    def start_as_before(self, standardizer: Standardizer) -> list[np.ndarray]:
        """Return the read-in that undoes how counts are standardized anew."""
        kernel, bias = self.start
        old = self.standardizer
        scale = standardizer.scale / old.scale
        shift = (standardizer.mean - old.mean) / old.scale
        return [kernel * scale[:, None], bias + shift @ kernel]

    def model(
        self, standardizer: Standardizer, kernel: np.ndarray, bias: np.ndarray
    ) -> keras.Model:
        said = dataclasses.replace(
            self.said, mean=standardizer.mean, scale=standardizer.scale
        )
        counts = keras.Input((self.length, len(kernel)), name="spike_counts")
        x = PreprocessingTag(said, dtype="float32", name="preprocessing")(
            counts
        )
        if said.transform == "sqrt":
            x = keras.ops.sqrt(x)
        x = standardizer.layer(STANDARDIZE)(x)
        read_in = keras.layers.Dense(len(bias), dtype="float32", name=READ_IN)
        movement = self.core(read_in(x))
        read_in.set_weights([kernel, bias])
        return keras.Model(counts, movement, name="calibrated_decoder")
