"""Spike times counted in bins, exact at the edges."""

from collections.abc import Iterable

import numpy as np

# A month of milliseconds would be more.
MOST_BINS = 10**8
# Eight gigabytes of counts.
MOST_COUNTS = 10**9


def bins_of_runs(
    runs: np.ndarray, bin_width: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut stretches of time into whole bins, the first at each one's start.

    Args:
        runs: Array of shape `(runs, 2)`, start and stop of each stretch in
            seconds, in order.
        bin_width: Width of a bin in seconds.

    Returns:
        Start and stop of each bin in seconds, and the number of its run, each
        `(bins,)`. A bin stops at the very number that the next one starts at.

    Raises:
        ValueError: More bins than any recording has.
    """
    starts, stops, run = [np.empty(0)], [np.empty(0)], [np.empty(0, int)]
    for number, (start, stop) in enumerate(np.asarray(runs, np.float64)):
        slack = rounding(np.array([start, stop]), bin_width) / bin_width
        count = max(int(np.floor((stop - start) / bin_width + slack)), 0)
        if count > MOST_BINS:
            raise ValueError(
                f"A stretch of {stop - start:.6g} s holds {count} bins of "
                f"{bin_width:g} s, more than {MOST_BINS}. Are all times in "
                f"seconds? Received: from {start:.6g} to {stop:.6g} s"
            )
        edges = start + bin_width * np.arange(count + 1)
        starts.append(edges[:-1])
        stops.append(edges[1:])
        run.append(np.full(count, number))
    return tuple(map(np.concatenate, (starts, stops, run)))  # type: ignore


def count_spikes(
    trains: Iterable[np.ndarray], starts: np.ndarray, stops: np.ndarray
) -> np.ndarray:
    """Count the spikes of each unit in each bin, `start <= time < stop`.

    A spike on an edge is in the bin that begins there, also where neither is
    an exact number: 3 x 0.05 is above 0.15 in floating point.

    Args:
        trains: For each unit its spike times in seconds, in any order.
        starts: Array of shape `(bins,)`, the start of each bin, rising.
        stops: Array of the same shape, none above the next start.

    Returns:
        int64 array of shape `(bins, units)`. Spikes outside of all bins are
        left out.
    """
    trains = list(trains)
    if len(starts) * len(trains) > MOST_COUNTS:
        raise ValueError(
            f"{len(starts)} bins of {len(trains)} units are more counts than "
            f"{MOST_COUNTS}. Are all times in seconds? Use wider bins, or "
            f"fewer units at once. Received: bins from {starts[0]:.6g} to "
            f"{stops[-1]:.6g} s"
        )
    counts = np.zeros((len(starts), len(trains)), dtype=np.int64)
    if not len(starts):
        return counts
    width = float(np.min(stops - starts))
    for unit, times in enumerate(trains):
        times = np.asarray(times, dtype=np.float64)
        times = times + rounding(times, width)
        index = np.searchsorted(starts, times, side="right") - 1
        inside = (index >= 0) & (times < stops[index])
        counts[:, unit] = np.bincount(index[inside], minlength=len(starts))
    return counts


def rounding(times: np.ndarray, bin_width: float) -> float:
    """Return the seconds by which two equal times may differ."""
    largest = np.abs(times).max(initial=0.0)
    return float(1e-9 * bin_width + 4 * np.spacing(largest))
