"""Recording: binned spikes with the movement they go with."""

import dataclasses
import os
import zipfile
from typing import Any

import numpy as np

from keras_seqattn.argument_checks import check_choice
from keras_seqattn.argument_checks import check_positive_number


@dataclasses.dataclass(frozen=True)
class Recording:
    """Binned spikes and the movement recorded with them.

    Args:
        spikes: Array of shape `(bins, units)`, spike counts (or rates) of
            each unit in each bin, oldest bin first.
        movement: Float array of shape `(bins, axes)`, what is decoded, one
            row a bin (for example cursor velocity in cm/s).
        segment: Optional integer array of shape `(bins,)`. Bins that follow
            each other in the array but not in time carry different numbers;
            no window crosses such a seam. Default: one segment.
        dt: Width of a bin in seconds, or `None` if unknown.
        name: What is decoded, for titles. Default: `"movement"`.

    Raises:
        ValueError: Arrays of the wrong rank or of different lengths, NaN or
            infinite values, or a `dt` that is not above 0.

    Example:
    ```python
    import numpy as np
    import keras_seqattn as ks

    counts = np.random.default_rng(0).poisson(1.0, size=(500, 30))
    velocity = np.random.default_rng(1).normal(size=(500, 2))
    recording = ks.Recording(counts, velocity, dt=0.05)
    print(recording.spikes.shape, recording.dt)  # (500, 30) 0.05
    ```
    """

    spikes: np.ndarray
    movement: np.ndarray
    segment: np.ndarray | None = None
    dt: float | None = None
    name: str = "movement"

    def __post_init__(self) -> None:
        spikes = _finite_matrix("spikes", self.spikes, "(bins, units)")
        movement = _finite_matrix("movement", self.movement, "(bins, axes)")
        _check_length("movement", movement, spikes)
        segment = (
            np.zeros(len(spikes), dtype=np.int64)
            if self.segment is None
            else np.asarray(self.segment)
        )
        if segment.ndim != 1:
            raise ValueError(
                "`segment` must be of rank 1, (bins,). "
                f"Received: segment.shape={segment.shape}"
            )
        _check_length("segment", segment, spikes)
        if self.dt is not None:
            check_positive_number("dt", float(self.dt))
        object.__setattr__(self, "spikes", spikes)
        object.__setattr__(self, "movement", movement)
        object.__setattr__(self, "segment", segment)


# What is decoded: the key in an `.npz` file, and its name.
TARGETS = {"vel": "velocity", "pos": "position", "acc": "acceleration"}


def load_recording(
    path: str | os.PathLike[str],
    target: str | None = None,
    **session_options: Any,
) -> Recording:
    """Read a `Recording` from an `.npz` file or a reaching session (`.mat`).

    An `.npz` file holds `spikes` of shape `(bins, units)` and `vel`, `pos` or
    `acc` of shape `(bins, axes)`; optionally `segment` of shape `(bins,)` and
    `dt`, the width of a bin in seconds. Files with pickled objects are
    refused.

    A `.mat` file is a session of the data set `primate_reaching` (MATLAB
    v7.3): spike times, which are counted in bins, and the movement of cursor
    and finger, from which the velocity is derived.

    Args:
        path: Path of the file.
        target: `"vel"`, `"pos"` or `"acc"`. Default: `"vel"` if the file has
            it.
        **session_options: For a `.mat` session alone, `area` (default
            `"M1"`), `bin_ms` (64), `effector` (`"cursor"`) and `alignment`
            (`"end"`) of `datasets.primate_reaching.reader.read_recording`.

    Returns:
        A `Recording`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is of another kind, lacks a key, or holds arrays
            that do not fit together.
    """
    path = os.fspath(path)
    if target is not None:
        check_choice("target", target, TARGETS)
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no recording at {path!r}.")
    if path.lower().endswith(".mat"):
        # Needs h5py, and needs this module first.
        from keras_seqattn.datasets.primate_reaching import reader

        return reader.read_recording(
            path, quantity=TARGETS[target or "vel"], **session_options
        )
    if session_options:
        raise ValueError(
            f"{sorted(session_options)} apply to `.mat` sessions alone; an "
            f"`.npz` file is in bins already. Received: path={path!r}"
        )
    if not zipfile.is_zipfile(path):
        raise ValueError(
            "A recording must be an `.npz` file, as written by `numpy.savez`,"
            f" or a `.mat` session. Received: path={path!r}"
        )
    with np.load(path, allow_pickle=False) as file:
        keys = list(file.keys())
        if target is None:
            target = "vel" if "vel" in keys else "pos"
        missing = [key for key in ("spikes", target) if key not in keys]
        if missing:
            raise ValueError(
                f"{path!r} lacks {missing}. A recording holds `spikes` "
                "(bins, units) and `vel`, `pos` or `acc` (bins, axes), "
                "optionally `segment` (bins,) and `dt` (seconds). "
                f"Received: keys={keys}"
            )
        return Recording(
            spikes=file["spikes"],
            movement=file[target],
            segment=file["segment"] if "segment" in keys else None,
            dt=float(file["dt"].item()) if "dt" in keys else None,
            name=TARGETS[target],
        )


def _finite_matrix(name: str, value: object, axes: str) -> np.ndarray:
    array = np.asarray(value)
    if array.ndim != 2:
        raise ValueError(
            f"`{name}` must be of rank 2, {axes}. "
            f"Received: {name}.shape={array.shape}"
        )
    if array.dtype.kind not in "buif":
        raise ValueError(
            f"`{name}` must hold numbers. Received: {name}.dtype={array.dtype}"
        )
    if 0 in array.shape:
        raise ValueError(
            f"`{name}` must not be empty. Received: {name}.shape={array.shape}"
        )
    array = array.astype("float32")
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        raise ValueError(
            f"`{name}` must be finite. Received: NaN or infinity in "
            f"{bad.sum()} of {len(array)} bins, the first at bin "
            f"{np.flatnonzero(bad)[0]}. Drop those bins and give the parts "
            "on both sides different `segment` numbers."
        )
    return array


def _check_length(name: str, array: np.ndarray, spikes: np.ndarray) -> None:
    if len(array) != len(spikes):
        raise ValueError(
            f"`{name}` must have one row a bin of `spikes`. Received: "
            f"{len(array)} rows in `{name}` and {len(spikes)} in `spikes`"
        )
