"""Windows over time: cut, split and standardize them without a leak."""

import itertools
from collections.abc import Sequence

import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn._checks import check_positive_integer


def window_ends(
    segment: np.ndarray, timesteps: int, stride: int = 1
) -> np.ndarray:
    """Return the last bin of every window that lies in one segment.

    Args:
        segment: Array of shape `(bins,)`; a change of value from one bin to
            the next is a seam that no window may cross.
        timesteps: Positive integer, the length of a window in bins.
        stride: Positive integer, bins from one window of a segment to the
            next. Default: 1, every window.

    Returns:
        Integer array of shape `(windows,)`: the window of entry `t` holds
        the bins `t - timesteps + 1 .. t`.

    Raises:
        ValueError: No segment is `timesteps` bins long.

    Example:
    ```python
    import numpy as np
    from keras_seqattn.windows import window_ends

    print(window_ends(np.array([0, 0, 0, 1, 1]), 2))  # [1 2 4]
    ```
    """
    timesteps = check_positive_integer("timesteps", timesteps)
    stride = check_positive_integer("stride", stride)
    segment = check_array("segment", segment, "(bins,)", "buifUS")
    seams = np.flatnonzero(segment[1:] != segment[:-1]) + 1
    starts = np.concatenate([[0], seams]).astype(np.int64)
    lengths = np.diff(np.concatenate([starts, [len(segment)]]))
    start_of_bin = np.repeat(starts, lengths)
    bins = np.arange(len(segment))
    # How far a window that ends here starts behind its segment's first bin.
    offset = bins - start_of_bin - (timesteps - 1)
    ends = bins[(offset >= 0) & (offset % stride == 0)]
    if not len(ends):
        raise ValueError(
            f"No segment is long enough for a window of {timesteps} "
            "timesteps. Use fewer timesteps or a longer recording. Received: "
            f"{len(segment)} bins, the longest segment "
            f"{lengths.max() if len(segment) else 0} bins"
        )
    return ends


def run_numbers(*columns: np.ndarray) -> np.ndarray:
    """Return a number a bin that changes where any of the columns does."""
    change = np.any([c[1:] != c[:-1] for c in columns], axis=0)
    return np.concatenate([[0], np.cumsum(change)])


def take_windows(
    sequence: np.ndarray, ends: np.ndarray, timesteps: int
) -> np.ndarray:
    """Copy the windows that end at `ends` out of a sequence.

    Args:
        sequence: Array of shape `(bins, features)`.
        ends: Integer array of shape `(windows,)`, from `window_ends`.
        timesteps: Positive integer, the length of a window in bins.

    Returns:
        Array of shape `(windows, timesteps, features)`, oldest bin first.
    """
    view = np.lib.stride_tricks.sliding_window_view(sequence, timesteps, axis=0)
    return np.ascontiguousarray(
        view[np.asarray(ends) - timesteps + 1].swapaxes(1, 2)
    )


def chronological_split(
    ends: np.ndarray,
    num_bins: int,
    timesteps: int,
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
) -> tuple[np.ndarray, ...]:
    """Split windows by time, with no bin shared between two parts.

    The recording's bins are cut at the cumulated `fractions`. A window
    belongs to the part that holds all its bins; the windows that straddle a
    cut (`timesteps - 1` of them) are dropped.

    Args:
        ends: Integer array of shape `(windows,)`, from `window_ends`.
        num_bins: Number of bins of the recording.
        timesteps: Positive integer, the length of a window in bins.
        fractions: Shares of the recording, in time order, above 0 and with
            the sum 1. Default: training 0.7, validation 0.1, test 0.2.

    Returns:
        One integer array of window ends for each fraction.

    Raises:
        ValueError: Fractions out of range, or a part without a window.

    Example:
    ```python
    import numpy as np
    from keras_seqattn.windows import chronological_split

    parts = chronological_split(np.arange(2, 10), 10, 3, (0.5, 0.5))
    print(parts)  # (array([2, 3, 4]), array([7, 8, 9]))
    ```
    """
    fractions = tuple(float(fraction) for fraction in fractions)
    if min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(
            "`fractions` must be above 0 and have the sum 1. "
            f"Received: fractions={fractions}"
        )
    cuts = np.round(np.cumsum((0.0, *fractions)) * num_bins).astype(int)
    parts = tuple(
        ends[(ends >= start + timesteps - 1) & (ends < stop)]
        for start, stop in itertools.pairwise(cuts)
    )
    for number, part in enumerate(parts):
        if not len(part):
            raise ValueError(
                f"Part {number} of the split holds no window of {timesteps} "
                "timesteps. Use fewer timesteps, a larger fraction or a "
                f"longer recording. Received: fractions={fractions}, "
                f"num_bins={num_bins}"
            )
    return parts
