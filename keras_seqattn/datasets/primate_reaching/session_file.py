"""A session of reaching, read from its MATLAB file into bins."""

import dataclasses
import os

import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._files.matlab_v73 import MatlabFile
from keras_seqattn._files.matlab_v73 import open_matlab
from keras_seqattn.windows.binning import count_spikes

RATE = 250  # samples of movement in a second
AREAS = ("M1", "S1", "M1+S1")
BIN_WIDTHS = (0.064, 0.016, 0.032, 0.128)  # seconds
EFFECTORS = ("cursor", "finger")
QUANTITIES = {
    "position": "mm",
    "velocity": "mm/s",
    "acceleration": "mm/s^2",
}
ALIGNMENTS = ("end", "mean", "start")
# Defaults, which the builder needs to know too.
AREA = "M1"
QUANTITY = "velocity"


@dataclasses.dataclass(frozen=True)
class BinnedSession:
    """A session's spike counts and movement, one row a bin.

    Args:
        spikes: uint16 array `(bins, channels)`, spikes of all units, sorted
            or not, of each channel.
        movement: float32 array `(bins, 2)`, x and y.
        time: float64 array `(bins,)`, the end of each bin in seconds since
            the session's first sample.
        segment: int64 array `(bins,)`; from one number to the next samples
            are missing.
        channels: Names of the channels, such as `"M1 001"`.
    """

    spikes: np.ndarray
    movement: np.ndarray
    time: np.ndarray
    segment: np.ndarray
    channels: tuple[str, ...]


def read_session(
    path: str | os.PathLike[str],
    *,
    area: str = AREA,
    bin_width: float = 0.064,
    effector: str = "cursor",
    quantity: str = QUANTITY,
    alignment: str = "end",
) -> BinnedSession:
    """Read a session's MATLAB file into bins.

    Bins begin at the first sample and follow each other; after missing samples
    (those whose position is NaN are missing too) they begin anew, in the next
    segment. Spikes outside of all bins are left out. Derivatives are central
    differences of the positions at 250 Hz. Waveforms are not read.

    Args:
        path: Path of a MATLAB v7.3 file with `t` (seconds), `cursor_pos`
            (mm), `finger_pos` (cm), `spikes` and `chan_names`.
        area: `"M1"`, `"S1"` or `"M1+S1"`, found by the names of the channels.
        bin_width: Width of a bin in seconds: 0.016, 0.032, 0.064 or 0.128.
        effector: `"cursor"`, or `"finger"`, whose second and third coordinate
            are turned into the cursor's axes.
        quantity: `"position"` (mm), `"velocity"` (mm/s) or `"acceleration"`
            (mm/s^2).
        alignment: The instant of a bin that its movement is taken at.
            `"end"`: the newest spike counted is the newest there is.
            `"mean"`: the mean of the bin's samples. `"start"`: the spikes
            counted come after the movement, as in the published decoder.

    Returns:
        A `BinnedSession`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged or of another kind, lacks the area, or
            is not sampled at an even 250 Hz.
    """
    check_choice("area", area, AREAS)
    check_choice("bin_width", bin_width, BIN_WIDTHS)
    check_choice("effector", effector, EFFECTORS)
    check_choice("quantity", quantity, QUANTITIES)
    check_choice("alignment", alignment, ALIGNMENTS)
    with open_matlab(path) as file:
        file.check_variables(("t", f"{effector}_pos", "spikes", "chan_names"))
        t, position = _track(file, effector)
        seams = _seams(file.path, t)
        samples = round(bin_width * RATE)
        first, segment = _bins(np.split(np.arange(len(t)), seams), samples)
        if not len(first):
            raise ValueError(
                f"{file.path!r} holds no bin of {bin_width:g} s. "
                f"Received: {len(t)} samples of 4 ms"
            )
        starts, ends = t[first], t[first + samples]
        rows = _channel_rows(file, area)
        trains = _trains(file, rows).values()
        spikes = count_spikes(trains, starts, ends).astype(np.uint16)
    movement = np.concatenate(
        [_differentiate(run, quantity) for run in np.split(position, seams)]
    )
    return BinnedSession(
        spikes,
        _align(movement, first, samples, alignment),
        time=ends - t[0],
        segment=segment,
        channels=tuple(rows),
    )


def read_spike_times(
    path: str | os.PathLike[str], area: str = AREA, effector: str = "cursor"
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Read a session without binning it.

    Args:
        path: As `read_session`.
        area: The same.
        effector: The same.

    Returns:
        Spike times by channel and times of samples, in seconds of the
        session's clock, and positions `(samples, 2)` in mm.
    """
    check_choice("area", area, AREAS)
    check_choice("effector", effector, EFFECTORS)
    with open_matlab(path) as file:
        file.check_variables(("t", f"{effector}_pos", "spikes", "chan_names"))
        times, position = _track(file, effector)
        return _trains(file, _channel_rows(file, area)), times, position


def _track(file: MatlabFile, effector: str) -> tuple[np.ndarray, np.ndarray]:
    """Return sample times and (x, y) in mm where all of them are known."""
    t = file.numbers("t").ravel()
    name = f"{effector}_pos"
    position = file.numbers(name)
    columns = 2 if effector == "cursor" else 3
    if position.shape[0] != len(t) or position.shape[1] < columns:
        raise ValueError(
            f"{name!r} in {file.path!r} must have one row a sample of 't' and "
            f"at least {columns} columns. Received: {position.shape} and "
            f"{len(t)} samples"
        )
    if effector == "cursor":
        position = position[:, :2]
    else:
        # Depth, then x and y seen from the other side, all in cm.
        position = -10.0 * position[:, 1:3]
    known = np.isfinite(position).all(axis=1) & np.isfinite(t)
    if not known.any():
        raise ValueError(
            f"{name!r} in {file.path!r} holds no sample that is not NaN."
        )
    return t[known], position[known]


def _seams(path: str, t: np.ndarray) -> np.ndarray:
    """Return the samples that do not follow 4 ms after the one before."""
    steps = np.diff(t)
    seams = np.flatnonzero(np.abs(steps * RATE - 1) > 0.1) + 1
    if (steps <= 0).any() or len(seams) > 0.01 * len(steps):
        raise ValueError(
            f"The samples of {path!r} must be 4 ms apart ({RATE} Hz), with "
            f"few gaps. Received: {len(seams)} of {len(steps)} steps differ, "
            f"the shortest {1000 * steps.min():.4g} ms, the longest "
            f"{1000 * steps.max():.4g} ms"
        )
    return seams


def _bins(
    runs: list[np.ndarray], samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return each bin's first sample and the run of samples it lies in."""
    # The sample that ends a bin begins the next one.
    first = [run[: max(len(run) - samples, 0) : samples] for run in runs]
    segment = np.repeat(np.arange(len(runs)), [len(bins) for bins in first])
    return np.concatenate(first), segment


def _differentiate(position: np.ndarray, quantity: str) -> np.ndarray:
    if len(position) < 2:  # too short for a bin, whatever its width
        return position
    for _ in range(list(QUANTITIES).index(quantity)):
        position = np.gradient(position, 1 / RATE, axis=0)
    return position


def _align(
    movement: np.ndarray, first: np.ndarray, samples: int, alignment: str
) -> np.ndarray:
    if alignment == "mean":
        inside = first[:, None] + np.arange(samples)
        return movement[inside].mean(axis=1).astype("float32")
    at = first + samples if alignment == "end" else first
    return movement[at].astype("float32")


def _channel_rows(file: MatlabFile, area: str) -> dict[str, int]:
    """Return the row of each channel whose name begins with the area's."""
    cells = file.cells("chan_names").ravel()
    names = [file.cell_text(cell) for cell in cells]
    areas = sorted({name.split()[0] for name in names if name.split()})
    missing = [part for part in area.split("+") if part not in areas]
    if missing:
        raise ValueError(
            f"{file.path!r} has no channel of {missing}. "
            f"Expected: one of its areas, {areas}. Received: area={area!r}"
        )
    if len(set(names)) != len(names):
        raise ValueError(
            f"{file.path!r} names a channel twice. Received: {names}"
        )
    return {
        name: row
        for row, name in enumerate(names)
        if name.split() and name.split()[0] in area.split("+")
    }


def _trains(file: MatlabFile, rows: dict[str, int]) -> dict[str, np.ndarray]:
    """Return the spike times of each channel, of all its units."""
    cells = file.cells("spikes")
    num_names = file.cells("chan_names").size
    if len(cells) != num_names:
        raise ValueError(
            f"'spikes' in {file.path!r} must have one row a channel. "
            f"Received: {len(cells)} rows and {num_names} names"
        )
    trains = {
        name: np.concatenate([file.cell_numbers(cell) for cell in cells[row]])
        for name, row in rows.items()
    }
    for name, times in trains.items():
        if len(times) and np.isnan(times).all():
            raise ValueError(
                f"The spike times of {name!r} in {file.path!r} are all NaN."
            )
    return trains
