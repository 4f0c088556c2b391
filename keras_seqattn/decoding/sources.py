"""Which kind of recording a path is."""

import os
import zipfile
from typing import Any

import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn.windows.recording import Recording

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
        # Needs h5py.
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
            bin_width=float(file["dt"].item()) if "dt" in keys else None,
            quantity=TARGETS[target],
        )
