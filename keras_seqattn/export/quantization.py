"""Quantize a model, and measure on given windows what it loses."""

import pathlib
from typing import Any

import keras
import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_non_negative_number
from keras_seqattn._keras_internals import find_layers
from keras_seqattn.export.named_model import NamedModel
from keras_seqattn.export.request import Request
from keras_seqattn.export.window_run import WindowRun
from keras_seqattn.streaming.step_model import step_of_window

METHODS = {
    "litert": ("dynamic", "int8", "float16"),
    "onnx": ("dynamic", "int8"),
}

# Files beside an artifact that is being written: inputs of the model, by name,
# and the artifact with floats.
CALIBRATION = "calibration.npz"
FLOAT = "float"

MAX_LOSS = 0.01


class Quantization:
    """What to quantize by, and the proof of what was quantized.

    A quantized model differs from its model of floats by more than any
    tolerance of rounding; what counts is how often its answer is another.

    Args:
        model: As in `export_litert`.
        request: With `quantize`.
        representative: As in `export_litert`.
        labels: As in `export_litert`.
        max_loss: As in `export_litert`.

    Attributes:
        model: The one to be exported, without a loop over time.

    Raises:
        ValueError: Windows that the model does not take, labels that are no
            classes, a model with more than one input or output, or with a
            loop that cannot be run step by step.
    """

    def __init__(
        self,
        model: keras.Model,
        request: Request,
        representative: Any,
        labels: Any,
        max_loss: float | None,
    ) -> None:
        check_choice("quantize", request.quantize, METHODS[request.format])
        self._request = request
        limit = MAX_LOSS if max_loss is None else max_loss
        self._max_loss = check_non_negative_number("max_loss", limit)
        if request.attention_scores:
            raise ValueError(
                "A quantized model is measured by its one output: leave out "
                "`attention_scores`, or `quantize`. "
                "Received: attention_scores=True"
            )
        if representative is None:
            raise ValueError(
                "`quantize` needs `representative`: some hundred windows of "
                "all kinds, as the model takes them, by which ranges are "
                "found and the loss is measured. Received: representative=None"
            )
        self.model = without_loop(model)
        self._run = WindowRun(
            NamedModel(self.model, request.batch_size, request.timesteps)
        )
        length = None
        if self.model is not model:  # As long as those that it was built for.
            named = NamedModel(model, None, request.timesteps)
            length = next(iter(named.inputs.values())).shape[1]
        self._windows = self._run.check_windows(representative, length)
        self._labels = None
        if labels is not None:
            self._labels = _integers(labels, len(self._windows))

    def calibrate(self, scratch: pathlib.Path) -> None:
        """Run the model of floats, and store what it was given.

        Raises:
            ValueError: Labels that are no classes of the model.
        """
        self._answer, given = self._run.model(self._windows)
        if self._labels is not None:
            _check_classes(self._labels, self._answer)
        arrays: dict[str, Any] = given
        np.savez(scratch / CALIBRATION, **arrays)

    def measure(
        self, artifact: pathlib.Path, scratch: pathlib.Path
    ) -> dict[str, Any]:
        """Run the artifact on the windows; return what is told beside it.

        Raises:
            RuntimeError: It loses more than `max_loss`.
        """
        answer = self._run.artifact(
            self._request.format, artifact, scratch, self._windows
        )
        found = {
            "method": self._request.quantize,
            "windows": len(answer),
            "bytes": artifact.stat().st_size,
            "bytes_float": (scratch / FLOAT).stat().st_size,
            **compare(self._answer, answer, self._labels),
        }
        # Not `loss > max_loss`, which NaN never is.
        if not found["loss"] <= self._max_loss:
            raise RuntimeError(
                f"The quantized model loses {found['loss']:.4f} "
                f"({found['loss_of']}) on the {len(answer)} windows, allowed "
                f"are {self._max_loss:g}. Give more of `representative`, try "
                f"another `quantize` than {self._request.quantize!r}, or allow "
                "it by `max_loss`. Nothing was written."
            )
        return found


def to_be_quantized(
    model: keras.Model,
    request: Request,
    representative: Any,
    labels: Any,
    max_loss: float | None,
) -> tuple[keras.Model, Quantization | None]:
    """Return the model to export, and its quantization if that is asked for.

    Args:
        model: As in `export_litert`.
        request: With `quantize` or without.
        representative: As in `export_litert`.
        labels: As in `export_litert`.
        max_loss: As in `export_litert`.

    Raises:
        ValueError: As `Quantization`, or arguments of it without `quantize`.
    """
    given = {
        "representative": representative,
        "labels": labels,
        "max_loss": max_loss,
    }
    if request.quantize is None:
        named = [name for name, value in given.items() if value is not None]
        if named:
            raise ValueError(
                "Windows, labels and a largest loss are for `quantize`, one of "
                f"{METHODS[request.format]}: give it, or leave them out. "
                f"Received: {', '.join(named)}, quantize=None"
            )
        return model, None
    quantization = Quantization(model, request, **given)
    return quantization.model, quantization


def without_loop(model: keras.Model) -> keras.Model:
    """Return a model as it is, or its step where it has a loop over time.

    LiteRT's converter crashes where it quantizes a loop.

    Raises:
        ValueError: It has a loop and cannot be run step by step.
    """
    has_loop = any(
        isinstance(layer, keras.layers.RNN)
        or getattr(layer, "mode", None) == "temporal"  # BurstPropNetwork
        for layer in find_layers(model)
    )
    if not has_loop or NamedModel(model).is_step:
        return model
    try:
        return step_of_window(model)
    except ValueError as error:
        raise ValueError(
            "A quantized model has no loop over time: a recurrent model is "
            "exported as its one step, so it must be causal, with the newest "
            "output as its answer (`pooling='last'`). Build it so, or export "
            f"it without `quantize`. Received: {model.name}. {error}"
        ) from error


def compare(
    expected: np.ndarray, found: np.ndarray, labels: np.ndarray | None
) -> dict[str, Any]:
    """Return what quantized answers lose, by name.

    Args:
        expected: Of the model of floats, (windows, ...).
        found: Of the quantized one.
        labels: (windows,), or `None`.
    """
    # NaN has an argmax, but is no answer.
    finite = np.isfinite(found).all(axis=-1)
    if labels is not None:
        before = float(np.mean(_classes(expected) == labels))
        after = float(np.mean((_classes(found) == labels) & finite))
        return {
            "accuracy_float": before,
            "accuracy": after,
            "loss": before - after,
            "loss_of": "accuracy",
        }
    if _are_probabilities(expected):
        same = (_classes(found) == _classes(expected)) & finite
        return {
            "loss": 1 - float(np.mean(same)),
            "loss_of": "windows with another class",
        }
    expected, found = expected.astype("float64"), found.astype("float64")
    spread = np.mean(np.square(expected - expected.mean(axis=0)))
    return {
        "loss": float(np.mean(np.square(found - expected)) / spread),
        "loss_of": "variance of the outputs",
    }


def _classes(answer: np.ndarray) -> np.ndarray:
    """The class of each window; one output is the probability of class 1."""
    if answer.shape[-1] == 1:
        return (answer[..., 0] > 0.5).astype("int64")
    return answer.argmax(axis=-1)


def _are_probabilities(answer: np.ndarray) -> bool:
    return bool(
        answer.shape[-1] > 1
        and (answer >= 0).all()
        and np.allclose(answer.sum(axis=-1), 1, atol=1e-3)
    )


def _integers(labels: Any, windows: int) -> np.ndarray:
    labels = check_array("labels", labels, "(windows,)", "iu")
    if labels.shape != (windows,):
        raise ValueError(
            "`labels` must hold the class of each window, an integer: shape "
            f"({windows},). Received: shape {labels.shape}"
        )
    return labels


def _check_classes(labels: np.ndarray, answer: np.ndarray) -> None:
    one = answer.shape[-1] == 1
    if (
        answer.ndim != 2
        or (one and not (0 <= answer.min() <= answer.max() <= 1))
        or not 0
        <= labels.min()
        <= labels.max()
        < (2 if one else answer.shape[1])
    ):
        raise ValueError(
            "`labels` must be classes of the model: columns of its output, or "
            "0 and 1 of one output that is a probability. Of any other output "
            f"leave them out. Received: labels from {labels.min()} to "
            f"{labels.max()}, an output of shape {answer.shape} from "
            f"{answer.min():.3g} to {answer.max():.3g}"
        )
