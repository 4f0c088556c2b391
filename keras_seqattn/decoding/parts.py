"""Which bins of a recording train, validate and test."""

from collections.abc import Sequence

import numpy as np

from keras_seqattn._checks import check_positive_integer
from keras_seqattn.windows.recording import Recording

PARTS = ("train", "validation", "test")


def chronological_parts(
    scored: np.ndarray, fractions: Sequence[float]
) -> np.ndarray:
    """Return for each bin its place in `PARTS`, one part after the other.

    The shares are of the bins that are scored: a long pause without movement
    is no part of any.
    """
    try:
        fractions = tuple(float(fraction) for fraction in fractions)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`fractions` must hold three numbers. Received: fractions="
            f"{fractions!r}"
        ) from error
    if len(fractions) != 3:
        raise ValueError(
            "`fractions` must hold three shares, of training, validation "
            f"and test. Received: fractions={fractions}"
        )
    if not min(fractions) > 0 or not abs(sum(fractions) - 1) <= 1e-6:
        raise ValueError(
            "`fractions` must be above 0 and have the sum 1. "
            f"Received: fractions={fractions}"
        )
    bins = np.flatnonzero(scored)
    cuts = np.round(np.cumsum(fractions)[:2] * len(bins)).astype(int)
    cuts = bins[np.minimum(cuts, len(bins) - 1)]
    return np.searchsorted(cuts, np.arange(len(scored)), side="right")


def fold_parts(recording: Recording, folds: int) -> list[np.ndarray]:
    """Return the parts of each fold, as `chronological_parts`.

    The recording is cut into `folds` blocks of time with as many scored bins
    each; if it has trials, no block begins within one. Each block is the test
    part once, the one before it the validation part (the last one for the
    first), and all others train.

    Args:
        recording: A `Recording`.
        folds: Integer, 3 or more.

    Raises:
        ValueError: Fewer than 3 folds, or more than trials or scored bins.
    """
    if check_positive_integer("folds", folds) < 3:
        raise ValueError(
            "`folds` must be 3 or more: to train, to validate, to test. "
            f"Received: folds={folds}"
        )
    scored = np.flatnonzero(np.asarray(recording.scored))
    starts = [block[0] for block in np.array_split(scored, folds) if len(block)]
    if recording.trial is not None:
        starts = [_first_of_trial(recording.trial, bin) for bin in starts]
    starts[:1] = [0]
    if len(set(starts)) < folds:
        raise ValueError(
            f"The recording cannot be cut into {folds} blocks. Use fewer "
            f"folds. Received: {len(scored)} scored bins"
        )
    block = np.searchsorted(starts, np.arange(len(recording.spikes)), "right")
    place = (block - 1 - np.arange(folds)[:, None]) % folds
    # 0 is the block itself, `folds` - 1 the one before.
    return list(np.where(place == 0, 2, np.where(place == folds - 1, 1, 0)))


def _first_of_trial(trial: np.ndarray, bin: int) -> int:
    if trial[bin] < 0:
        return bin
    # Since the last other trial: numbers may come again, in another session.
    before = trial[:bin]
    other = np.flatnonzero((before >= 0) & (before != trial[bin]))
    first = other[-1] + 1 if len(other) else 0
    return int(first + np.argmax(trial[first:] == trial[bin]))
