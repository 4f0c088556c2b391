"""Spikes that are in bins already: arrays, `.npz` files, wide tables."""

import dataclasses
from typing import Any

import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn._files.array_file import LABELS
from keras_seqattn._files.array_file import ArrayFile
from keras_seqattn.decoding.spike_session import as_names
from keras_seqattn.windows.behavior import cosine_and_sine
from keras_seqattn.windows.cutting import run_numbers
from keras_seqattn.windows.labels import ids
from keras_seqattn.windows.recording import Recording
from keras_seqattn.windows.recording import check_bin_width
from keras_seqattn.windows.recording import check_lag
from keras_seqattn.windows.trials import check_intervals
from keras_seqattn.windows.trials import interval_of

# What is decoded: keys of an `.npz` file in the order they are looked for.
BEHAVIORS = {
    "movement": "movement",
    "vel": "velocity",
    "pos": "position",
    "acc": "acceleration",
}
WIDTHS = ("bin_width", "dt")
EXPECTED = (
    "A recording in bins holds `spikes` (bins, units) and `movement`, `vel`, "
    "`pos` or `acc` (bins, axes), optionally `segment` (bins,) and `bin_width` "
    "(seconds). Spike times in arrays: load them and give a list, one array a "
    "unit."
)
# Columns of a wide table that are neither units nor movement.
TIME = "time"
BESIDES = ("segment", "trial", "condition", "scored")


def read_bins(file: ArrayFile, behavior: Any) -> dict[str, Any]:
    """Read the arrays of an `.npz` file that a `Recording` is made of."""
    if behavior is None:
        behavior = next((key for key in BEHAVIORS if key in file), "movement")
    names = as_names(behavior)
    file.check_names(["spikes", *names], EXPECTED)
    movement = [file.read(name, rank=(1, 2)) for name in names]
    lengths = {name: len(m) for name, m in zip(names, movement, strict=True)}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"What is decoded in {file.path!r} must have one row a bin. "
            f"Received: {lengths}"
        )
    found: dict[str, Any] = {
        "spikes": file.read("spikes", rank=2),
        "movement": np.concatenate(
            [np.reshape(m, (len(m), -1)) for m in movement], axis=1
        ),
        "title": ", ".join(BEHAVIORS.get(name, name) for name in names),
    }
    for name, kinds in (
        ("segment", "buif"),
        ("times", "uif"),
        ("scored", "b"),
        ("trial", "ui"),
        ("condition", LABELS),
    ):
        if name in file and name not in names:
            # MATLAB keeps a list as a row or a column.
            found[name] = file.read(name, kinds, (1, 2)).ravel()
    if "unit_ids" in file:
        found["unit_ids"] = ids(file.read("unit_ids", LABELS), "unit_ids")
    widths = {key: file.number(key) for key in WIDTHS if key in file}
    if len(set(widths.values())) > 1:
        raise ValueError(
            f"{file.path!r} tells two widths of a bin. Received: {widths}"
        )
    found["bin_width"] = next(iter(widths.values()), None)
    return found


def wide_table(table: Any, behavior: Any) -> dict[str, Any]:
    """Take the columns of a wide table apart, one row a bin.

    Args:
        table: A pandas frame. The columns `behavior` are what is decoded;
            `time` (seconds), `segment`, `trial`, `condition` and `scored` are
            what they say, and all others are units.
        behavior: Name of a column, or several.
    """
    columns = list(table.columns)
    names = as_names(behavior)
    missing = [name for name in names if name not in columns]
    twice = sorted({str(c) for c in columns if columns.count(c) > 1})
    if missing or twice:
        wrong = f"no columns {missing}" if missing else f"{twice} twice"
        raise ValueError(f"The table has {wrong}. Received: {columns[:40]}")
    units = [c for c in columns if c not in (*names, TIME, *BESIDES)]
    other = [c for c in units if np.asarray(table[c]).dtype.kind not in "buif"]
    if other or not units:
        raise ValueError(
            "All columns besides what is decoded must be units, that is "
            "numbers: drop others from the table, or give a long one with "
            "`unit` and `time`. Received: "
            f"{other[:20] or 'no other column'}"
        )
    found: dict[str, Any] = {
        "spikes": table[units].to_numpy(),
        "movement": table[names].to_numpy(),
        "unit_ids": units,
        "title": ", ".join(names),
        "bin_width": None,
    }
    found |= {c: np.asarray(table[c]) for c in BESIDES if c in columns}
    if TIME in columns:
        found["times"] = np.asarray(table[TIME], np.float64)
        steps = np.diff(found["times"])
        if len(steps):
            width = float(np.median(steps))
            found["bin_width"] = width
            if "segment" not in found:
                found["segment"] = np.concatenate(
                    [[0], np.cumsum(np.abs(steps / width - 1) > 0.1)]
                )
    return found


def binned_recording(
    spikes: np.ndarray,
    movement: np.ndarray,
    *,
    title: str = "movement",
    own_width: float | None,
    bin_width: float | None,
    quantity: str,
    lag: float,
    trials: Any,
    **fields: Any,
) -> Recording:
    """Make a `Recording` of what is in bins.

    Args:
        spikes: Counts `(bins, units)`.
        movement: Array `(bins, axes)`.
        title: What the movement is.
        own_width: Seconds of a bin by the file.
        bin_width: The same by the caller.
        quantity: `"as given"`, what the title says, or `"direction"`.
        lag: Seconds, whole bins, from a bin's end to its movement.
        trials: Starts and stops in seconds; needs `times`.
        **fields: Others of `Recording`.
    """
    width = own_width if bin_width is None else check_bin_width(bin_width)
    if own_width is not None and width is not None:
        if not np.isclose(own_width, width, rtol=1e-3):
            raise ValueError(
                "The recording is in bins already, and cannot be binned anew. "
                f"Received: bin_width={width:g}, and {own_width:g} s in the "
                "recording"
            )
    if quantity == "direction":
        movement = cosine_and_sine(
            check_array("movement", movement, "(bins, axes)")
        )
        title = f"direction of {title}"
    elif quantity not in ("as given", title):
        raise ValueError(
            "In bins, movement is taken as it is given, or as a direction; "
            "derivatives are of spike times and a behaviour with its own time "
            f"stamps. Received: quantity={quantity!r} of {title!r}"
        )
    recording = Recording(
        spikes, movement, bin_width=width, quantity=title, **fields
    )
    if lag := check_lag(lag):
        recording = _later(recording, lag)
    pairs = check_intervals("trials", trials)
    if pairs is None:
        return recording
    if recording.times is None:
        raise ValueError(
            "`trials` are told in seconds, so bins need `times` (bins,), the "
            "end of each. Or give `segment`, `trial` and `scored`."
        )
    slack = 1e-6 * (width or 1)
    trial = interval_of(pairs, recording.times + lag, slack)
    scored = np.asarray(recording.scored) & (trial >= 0)
    return dataclasses.replace(recording, trial=trial, scored=scored)


def _later(recording: Recording, lag: float) -> Recording:
    """Give each bin the movement of `lag` later, and what goes with it."""
    width = recording.bin_width
    bins = None if width is None else round(lag / width)
    if width is None or bins is None or abs(bins * width - lag) > 0.01 * width:
        raise ValueError(
            "In bins, `lag` must be a whole number of them. Received: "
            f"lag={lag} s, bin_width={width}"
        )
    run = run_numbers(np.asarray(recording.segment))
    source = np.arange(len(run)) + bins
    known = (source >= 0) & (source < len(run))
    source = np.clip(source, 0, len(run) - 1)
    known &= run[source] == run
    if not known.any():
        raise ValueError(
            f"A segment must be longer than `lag`. Received: lag={lag} s in "
            f"segments of at most {np.bincount(run).max()} bins"
        )
    moved: dict[str, Any] = {
        name: values[source]
        for name in ("movement", "scored", "trial", "condition")
        if (values := getattr(recording, name)) is not None
    }
    moved["scored"] = moved["scored"] & known
    if "trial" in moved:
        moved["trial"] = np.where(known, moved["trial"], -1)
    return dataclasses.replace(recording, lag=lag, **moved)
