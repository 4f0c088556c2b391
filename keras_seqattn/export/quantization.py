"""Quantize a model, and measure on given windows what it loses."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_non_negative_number
from keras_seqattn.export.artifact import export
from keras_seqattn.export.named_model import NamedModel
from keras_seqattn.export.one_step import without_loop
from keras_seqattn.export.request import Request
from keras_seqattn.export.window_run import answer_of
from keras_seqattn.export.window_run import run_artifact
from keras_seqattn.export.window_run import run_model
from keras_seqattn.export.window_run import states_of

METHODS = {
    "litert": ("dynamic", "int8", "float16"),
    "onnx": ("dynamic", "int8"),
}


class Quantization:
    """Windows to quantize by, and the proof of what was quantized.

    A quantized model differs from its model of floats by more than any
    tolerance of rounding; what counts is how often its answer is another.

    Args:
        request: With `quantize`.
        model: From `without_loop`.
        representative: Windows, as in `export_litert`.
        labels: As in `export_litert`.
        max_loss: As in `export_litert`.

    Raises:
        ValueError: Windows that the model does not take, labels that are no
            classes of it, or a model with more than one output.
    """

    def __init__(
        self,
        request: Request,
        model: keras.Model,
        representative: Any,
        labels: Any,
        max_loss: float,
    ) -> None:
        check_choice("quantize", request.quantize, METHODS[request.format])
        if request.attention_scores:
            raise ValueError(
                "A quantized model is measured by its one output: leave out "
                "`attention_scores`, or `quantize`. "
                "Received: attention_scores=True"
            )
        self.request = request
        self.max_loss = check_non_negative_number("max_loss", max_loss)
        self.named = NamedModel(model, request.batch_size, request.timesteps)
        self.windows = _windows(self.named, representative)
        self.labels = None if labels is None else np.asarray(labels)
        answer_of(self.named)
        if self.labels is not None:
            _check_labels(self.labels, len(next(iter(self.windows.values()))))
        self._answer = np.zeros(0)

    def calibrate(self, scratch: pathlib.Path) -> None:
        """Run the model of floats; store what it was given."""
        done = run_model(self.named, self.windows)
        self._answer = done.answer
        inputs: dict[str, Any] = done.inputs
        np.savez(scratch / "calibration.npz", **inputs)

    def measure(
        self, artifact: pathlib.Path, scratch: pathlib.Path
    ) -> dict[str, Any]:
        """Run the artifact on the windows; return what the bundle says.

        Raises:
            RuntimeError: It loses more than `max_loss`.
        """
        kind = self.request.format
        answer = run_artifact(self.named, kind, artifact, scratch, self.windows)
        found = {
            "method": self.request.quantize,
            "windows": len(answer),
            "bytes": artifact.stat().st_size,
            "bytes_float": (scratch / "float").stat().st_size,
            **compare(self._answer, answer, self.labels),
            "max_loss": self.max_loss,
        }
        # A NaN is no answer: not `loss > max_loss`.
        if not found["loss"] <= self.max_loss:
            raise RuntimeError(
                f"The quantized model loses too much on the {len(answer)} "
                f"windows: {found['loss']:.4f} ({found['loss_of']}), allowed "
                f"are {self.max_loss:g}. Try another `quantize` than "
                f"{self.request.quantize!r}, give more of `representative`, "
                "or allow it by `max_loss`. Nothing was written."
            )
        return found


def export_quantized(
    model: keras.Model,
    path: str | os.PathLike[str],
    request: Request,
    representative: Any,
    labels: Any,
    max_loss: float,
) -> float:
    """Quantize a model or its step, measure, put it in place.

    Returns:
        The loss.

    Raises:
        ImportError: A package is missing.
        FileExistsError: There is something else at `path`.
        ValueError: The model or an argument will not do.
        RuntimeError: It failed, or loses more than `max_loss`.
    """
    if representative is None:
        raise ValueError(
            "`quantize` needs `representative`: some hundred windows as the "
            "model takes them, of all kinds, by which ranges are found and "
            "the loss is measured. Received: representative=None"
        )
    request.check_packages()
    model = without_loop(model)
    quantization = Quantization(
        request, model, representative, labels, max_loss
    )
    return export(model, path, request, max_loss, quantization)


def compare(
    expected: np.ndarray, found: np.ndarray, labels: np.ndarray | None
) -> dict[str, Any]:
    """Return what quantized answers lose, by name.

    With labels it is accuracy; else the share of windows with another class;
    where the answers are no probabilities, the share of their variance.
    """
    if labels is not None:
        _check_classes(labels, expected)
        right = [
            float(np.mean(x.argmax(axis=-1) == labels))
            for x in (expected, found)
        ]
        return {
            "accuracy_float": right[0],
            "accuracy": right[1],
            # NaN has an argmax: it must not count as an answer.
            "loss": right[0] - right[1] if np.isfinite(found).all() else 1.0,
            "loss_of": "accuracy",
        }
    if _are_probabilities(expected):
        other = found.argmax(axis=-1) != expected.argmax(axis=-1)
        other |= ~np.isfinite(found).all(axis=-1)
        return {
            "loss": float(np.mean(other)),
            "loss_of": "share of windows with another class",
        }
    expected, found = expected.astype("float64"), found.astype("float64")
    spread = np.mean(np.square(expected - expected.mean(axis=0)))
    return {
        "loss": float(np.mean(np.square(found - expected)) / spread),
        "loss_of": "share of the outputs' variance",
    }


def _are_probabilities(answer: np.ndarray) -> bool:
    return bool(
        answer.shape[-1] > 1
        and (answer >= 0).all()
        and np.allclose(answer.sum(axis=-1), 1, atol=1e-3)
    )


def _windows(named: NamedModel, given: Any) -> dict[str, np.ndarray]:
    states = states_of(named)
    specs = {k: x for k, x in named.inputs.items() if k not in states}
    if not isinstance(given, Mapping) and len(specs) == 1:
        given = {next(iter(specs)): given}
    if not isinstance(given, Mapping) or given.keys() != specs.keys():
        got = list(given) if isinstance(given, Mapping) else type(given)
        raise ValueError(
            "`representative` must be an array of windows, or a dictionary of "
            f"them for the inputs {list(specs)}. Received: {got}"
        )
    arrays = {k: np.asarray(given[k], specs[k].dtype) for k in specs}
    for name, x in arrays.items():
        want: list[int | None] = [None, *specs[name].shape[1:]]
        if states:
            want.insert(1, None)  # A step is fed sequences.
        fits = len(want) == x.ndim and all(
            size in (None, got) for size, got in zip(want, x.shape, strict=True)
        )
        if not fits or 0 in x.shape or not np.isfinite(x).all():
            raise ValueError(
                f"`representative` must be finite, of shape {tuple(want)} for "
                f"the input {name!r} (`None`: any). Received: an array of "
                f"shape {x.shape}"
            )
    leading = {x.shape[: 1 + bool(states)] for x in arrays.values()}
    if len(leading) > 1:
        raise ValueError(
            "`representative` must have as many windows (and steps) for each "
            f"input. Received: {sorted(leading)}"
        )
    return arrays


def _check_labels(labels: np.ndarray, windows: int) -> None:
    if labels.dtype.kind not in "iu" or labels.shape != (windows,):
        raise ValueError(
            "`labels` must hold the class of each window, an integer: shape "
            f"({windows},). Received: shape {labels.shape}, dtype "
            f"{labels.dtype}"
        )


def _check_classes(labels: np.ndarray, answer: np.ndarray) -> None:
    if answer.ndim != 2 or not (
        0 <= labels.min() <= labels.max() < answer.shape[1]
    ):
        raise ValueError(
            "`labels` must be classes of the model, columns of its output of "
            f"shape {answer.shape}. "
            f"Received: {labels.min()} .. {labels.max()}"
        )
