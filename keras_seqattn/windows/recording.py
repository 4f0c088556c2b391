"""Recording: binned spikes with the movement they go with."""

import dataclasses

import numpy as np

from keras_seqattn._checks import check_positive_number


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
    recording = ks.decoding.Recording(counts, velocity, dt=0.05)
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
