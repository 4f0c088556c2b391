"""The smartwatch recordings inside the package seglearn.

The only pickle that this package reads: NumPy unpickles it after its SHA-256
has told that it is the file that seglearn ships, and no other one.
"""

import hashlib
import importlib.util
import io
import os
import pathlib
from typing import Any

import numpy as np

from keras_seqattn.windows.activity_windows import ActivityWindows
from keras_seqattn.windows.activity_windows import cut_recordings

# Of `seglearn/data/watch_dataset.npy`, the same in these versions.
VERSIONS = "1.1.0 to 1.2.5"
SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"
BYTES = 18_118_091
RATE = 50
NAMES = {
    "PEN": "pendulum",
    "ABD": "abduction",
    "FEL": "forward elevation",
    "IR": "internal rotation",
    "ER": "external rotation",
    "TRAP": "trapezius extension",
    "ROW": "upright row",
}


def load_seglearn_watch(
    path: str | os.PathLike[str] | None = None,
    seconds: float = 2.0,
    overlap: float = 0.5,
) -> ActivityWindows:
    """Read the smartwatch recordings that the package seglearn ships.

    Seven shoulder exercises, ten subjects, both arms: 140 recordings of 6
    channels (acceleration, angular velocity) at 50 Hz. seglearn must be
    installed (`pip install keras_seqattn[activity]`) but is not imported. Its
    file is a pickle, which could run code: no other one is read.

    Reference: Burns et al., Physiological Measurement 39, 075007, 2018,
    [doi:10.1088/1361-6579/aacfd9](https://doi.org/10.1088/1361-6579/aacfd9).

    Args:
        path: A copy of the file `watch_dataset.npy`. Default: seglearn's own.
        seconds: Length of a window.
        overlap: Share of a window that the next one holds too, in [0, 1).

    Returns:
        An `ActivityWindows`. No window crosses two recordings.

    Raises:
        ImportError: seglearn is not installed.
        ValueError: It is another file than that of seglearn 1.1.0 to 1.2.5.
    """
    if path is None:
        spec = importlib.util.find_spec("seglearn")
        if spec is None or not spec.submodule_search_locations:
            raise ImportError(
                "The smartwatch recordings come with the package seglearn: "
                "pip install keras_seqattn[activity]"
            )
        folder = pathlib.Path(spec.submodule_search_locations[0])
        path = folder / "data" / "watch_dataset.npy"
    data = _read_known(path)
    recordings = [np.asarray(signal, "float32") for signal in data["X"]]
    labels = np.asarray(data["y"], "int64")
    return cut_recordings(
        recordings,
        [
            np.full(len(signal), label)
            for signal, label in zip(recordings, labels, strict=True)
        ],
        np.asarray(data["subject"], "int64"),
        classes=[NAMES.get(name, name) for name in data["y_labels"]],
        channels=data["X_labels"],
        rate=RATE,
        seconds=seconds,
        overlap=overlap,
    )


def _read_known(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what the known file holds. No other file is unpickled."""
    with open(path, "rb") as file:
        content = file.read(BYTES + 1)
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ValueError(
            "No `.npy` file is read but `watch_dataset.npy` of seglearn "
            f"{VERSIONS}, since it may hold a pickle, which runs code. For "
            "recordings of your own there are `.npz` and `.csv` files: see "
            "`load_recordings`. "
            f"Received: path={os.fspath(path)!r}, of another SHA-256"
        )
    return np.load(io.BytesIO(content), allow_pickle=True).item()
