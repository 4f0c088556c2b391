"""From probabilities of windows to those of samples."""

import numpy as np

from keras_seqattn.windows.cutting import window_ends

SMOOTHINGS = ("mean", "median", "none")
# Windows whose neighbours are in memory at once.
BLOCK = 4096


def covering_ends(
    segment: np.ndarray, timesteps: int, stride: int, source: str, rate: float
) -> np.ndarray:
    """Return the last samples of windows that hold all they can.

    Those of `window_ends`, and one at the end of each segment.

    Raises:
        ValueError: No segment is as long as a window.
    """
    bounds = np.flatnonzero(segment[1:] != segment[:-1]) + 1
    starts = np.array([0, *bounds])
    stops = np.array([*bounds, len(segment)])
    lengths = stops - starts
    if lengths.max() < timesteps:
        raise ValueError(
            "The recording must have a stretch without a seam as long as a "
            f"window, {timesteps / rate:g} s. Received: {source} with "
            f"{len(lengths)} stretches, the longest of "
            f"{lengths.max() / rate:g} s"
        )
    last = stops[lengths >= timesteps] - 1
    return np.union1d(window_ends(segment, timesteps, stride), last)


def smooth_windows(
    outputs: np.ndarray,
    ends: np.ndarray,
    segment: np.ndarray,
    smoothing: str,
    reach: int,
) -> np.ndarray:
    """Smooth probabilities over the windows around, in the same segment.

    Args:
        outputs: Probabilities `(windows, classes)`.
        ends: The last sample of each window, rising.
        segment: The segment of each sample.
        smoothing: One of `SMOOTHINGS`.
        reach: Samples from the centre of the first to that of the last window
            that is taken, at most.

    Returns:
        Probabilities, rows that sum to 1.
    """
    if smoothing == "none":
        return outputs
    number = np.cumsum(np.r_[0, segment[1:] != segment[:-1]])[ends]
    # With segments too far apart to be neighbours.
    place = ends + number * (reach + 1)
    first = np.searchsorted(place, place - reach / 2)
    stop = np.searchsorted(place, place + reach / 2, side="right")
    most = int((stop - first).max())
    found = np.empty_like(outputs)
    for begin in range(0, len(ends), BLOCK):
        part = slice(begin, begin + BLOCK)
        near = first[part, None] + np.arange(most)
        inside = (near < stop[part, None])[..., None]
        around = outputs[np.minimum(near, len(ends) - 1)]
        around = np.where(inside, around, np.nan)
        mean = np.nanmean(around, axis=1)
        if smoothing == "median":
            middle = np.nanmedian(around, axis=1)
            total = middle.sum(axis=1, keepdims=True)
            # Where no class has a majority, all medians may be 0.
            mean = np.where(total > 0, middle / np.maximum(total, 1e-9), mean)
        found[part] = mean
    return found


def merge_windows(
    outputs: np.ndarray, ends: np.ndarray, timesteps: int, samples: int
) -> np.ndarray:
    """Return the mean over the windows that hold a sample, NaN for none.

    Args:
        outputs: Probabilities `(windows, classes)`.
        ends: The last sample of each window.
        timesteps: Length of a window.
        samples: Length of the recording.

    Returns:
        Float32 array `(samples, classes)`.
    """
    # What each sample adds to the sum at the one before it: as long as the
    # recording, whatever the overlap.
    change = np.zeros((samples + 1, outputs.shape[1] + 1))
    added = np.column_stack([outputs, np.ones(len(outputs))])
    np.add.at(change, ends + 1 - timesteps, added)
    np.subtract.at(change, ends + 1, added)
    total = np.cumsum(change[:-1], axis=0)
    held = np.round(total[:, -1:])
    mean = np.divide(
        total[:, :-1],
        held,
        out=np.full((samples, outputs.shape[1]), np.nan),
        where=held > 0,
    )
    # What is left of the differences is of the size of rounding.
    return np.clip(mean, 0, 1).astype("float32")
