"""Which kind of recording a file, a table or an object is."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_seqattn._files.array_file import ArrayFile
from keras_seqattn.decoding import pynapple_file
from keras_seqattn.decoding.behavior_source import is_path
from keras_seqattn.decoding.behavior_source import read_behavior
from keras_seqattn.decoding.binned import binned_recording
from keras_seqattn.decoding.binned import read_bins
from keras_seqattn.decoding.binned import wide_table
from keras_seqattn.decoding.spike_session import OPTIONS
from keras_seqattn.decoding.spike_session import SpikeSession
from keras_seqattn.decoding.spike_session import check_options
from keras_seqattn.decoding.spike_session import errors_of
from keras_seqattn.decoding.spike_session import to_recording
from keras_seqattn.windows.recording import Recording
from keras_seqattn.windows.recording import check_lag

KINDS = (
    "an `.nwb` file, a `.mat` file, an `.npz` file in bins as written by "
    "`numpy.savez`, or pynapple's own `.npz`"
)
# Of a session of the set `primate_reaching` alone.
REACHING_OPTIONS = ("area", "effector", "alignment")


def load_recording(
    source: Any,
    behavior: Any = None,
    *,
    bin_width: float | None = None,
    quantity: str | None = None,
    lag: float = 0.0,
    trials: Any = None,
    fields: Mapping[str, Any] | None = None,
    **options: Any,
) -> Recording:
    """Read a `Recording` from a lab's own file, table or objects.

    | source | `behavior` |
    |---|---|
    | `.nwb` (needs the extra `nwb`) | name or path of a series, or several; \
default: the one there is |
    | `.mat`, with `fields` | name of a variable, or several, in place of \
`fields["movement"]` |
    | `.mat` of the set `primate_reaching` | `"cursor"` or `"finger"` |
    | `.npz` in bins | key, or several; default: `movement`, `vel`, `pos` or \
`acc` |
    | pynapple: `.npz` with a `TsGroup`, or the object | file or object with \
a `Tsd` or `TsdFrame`; `[file, column, ...]` for some columns |
    | table with the columns `unit` and `time` | table with the column `time` \
(or times as its index), or `(times, movement)` |
    | table in bins, a column a unit | names of its columns |
    | list of arrays, or a mapping from ids to arrays | as of the table of \
spikes |

    Files are told apart by what they hold. An `.npz` file in bins has
    `spikes` (bins, units), what is decoded (bins, axes), and optionally
    `segment`, `bin_width` (seconds), `times`, `scored`, `trial`,
    `condition` and `unit_ids`, as `Recording` explains them. Python objects
    in it are not loaded. `recording_contents` tells what a file holds.

    A published session of `primate_reaching` is read as it was published
    (`datasets.primate_reaching.reader.read_recording`; `bin_width` is .064
    by default), but with `lag`, `trials`, another `bin_width` or an option
    of `from_spike_times` it is binned as all others are: derivatives then do
    not look ahead.

    Args:
        source: Path, table, or objects.
        behavior: What is decoded; see the table.
        bin_width: Width of a bin in seconds. Needed for spike times.
        quantity: As in `Recording.from_spike_times`: `"as given"`,
            `"velocity"`, `"acceleration"` or `"direction"`. Default: as
            given; of a session of `primate_reaching` the velocity.
        lag: Seconds by which the movement follows the spikes. In bins: a
            whole number of them.
        trials: Optional starts and stops in seconds: an array `(n, 2)`, a
            table, an `IntervalSet` or a file with one; of an `.nwb` file the
            name of a table, such as `"trials"` or `"epochs"`. Bins outside of
            trials give context and are not scored.
        fields: Of a `.mat` file: which variable is what. `{"spike_times":
            "units", "times": "t", "movement": "vel"}` with a cell a unit,
            or `{"spikes": "counts", "movement": "vel", "bin_width": 0.05}`.
            `"struct/field"` is a field. Optional: `trials`, `condition`,
            `observed`, `unit_ids`, `segment`.
        **options: Others of `Recording.from_spike_times`: `alignment`,
            `condition` (of an `.nwb` file the name of a column),
            `look_ahead`, `max_gap`, `name`, `observed`, `smoothing`,
            `unit_ids`. Of a `primate_reaching` session `area` (default
            `"M1"`) and `effector` too.

    Returns:
        A `Recording`.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: The package that reads such files is not installed.
        ValueError: The file is of another kind, is damaged, lacks something
            or holds what does not fit together.

    Example:
    ```python
    import numpy as np
    import keras_seqattn as ks

    rng = np.random.default_rng(0)
    units = [np.sort(rng.uniform(0, 60, size=300)) for _ in range(5)]
    t = np.arange(0, 60, 0.01)
    recording = ks.decoding.load_recording(
        units, (t, np.sin(t)), bin_width=0.05, quantity="velocity"
    )
    print(recording.spikes.shape)  # (1199, 5)
    ```
    """
    binning = {
        "bin_width": bin_width,
        "quantity": quantity or "as given",
        "lag": check_lag(lag),
    }
    if pynapple_file.is_pynapple(trials, ("IntervalSet",)):
        trials = pynapple_file.read_intervals(trials)
    if fields is not None and not is_path(source):
        raise ValueError("`fields` are of a `.mat` file alone.")
    if is_path(source):
        path = os.fspath(source)
        kind = _kind_of_file(path)
        if fields is not None and kind != "mat":
            raise ValueError(
                f"`fields` are of a `.mat` file alone. Received: {path!r}"
            )
        with errors_of(path):
            if kind == "nwb":
                return _from_nwb(path, behavior, trials, binning, options)
            if kind == "mat":
                if fields is None and quantity is None:
                    binning["quantity"] = _usual_quantity(path)
                return _from_mat(
                    path, behavior, trials, fields, binning, options
                )
            return _from_npz(path, behavior, trials, binning, options)
    if hasattr(source, "columns") and not {"unit", "time"} <= set(
        source.columns
    ):
        check_options(options, ())
        found = wide_table(source, [] if behavior is None else behavior)
        return _in_bins(found, trials, binning)
    observed = None
    if pynapple_file.is_group(source):
        source, observed = pynapple_file.units_of(source)
    return _in_time(source, behavior, observed, trials, binning, options)


def recording_contents(path: str | os.PathLike[str]) -> str:
    """Return what a file holds, as text: units, behaviour, trials, arrays.

    Args:
        path: Path of a file that `load_recording` reads.

    Returns:
        Some lines. Names in them are what `behavior`, `trials` and `fields`
        take.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is of another kind, or damaged.
    """
    path = os.fspath(path)
    kind = _kind_of_file(path)
    if kind == "nwb":
        from keras_seqattn.decoding import nwb_file

        return nwb_file.contents(path)
    if kind == "mat":
        from keras_seqattn.decoding import matlab_file

        return matlab_file.contents(path)
    with ArrayFile(path) as file:
        own = pynapple_file.kind_of(file)
        lines = [f"pynapple's {own}:" if own else "arrays:"]
        for name in file.names:
            shape, dtype = file.header(name)
            kept = "  (objects, not read)" * dtype.hasobject
            lines.append(f"  {name}: {shape} {dtype}{kept}")
        if own == "TsGroup":
            trains, _ = pynapple_file.read_units(file)
            counts = {unit: len(train) for unit, train in trains.items()}
            lines.append(f"  spikes of each unit: {counts}")
    return "\n".join(lines)


def _kind_of_file(path: str) -> str:
    """Return `"nwb"`, `"mat"` or `"npz"` by a file's first bytes."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no recording at {path!r}.")
    if not os.path.isfile(path):
        raise ValueError(
            f"A recording must be a file: {KINDS}. Received: the folder (or "
            f"device) {path!r}"
        )
    with open(path, "rb") as file:
        start = file.read(8)
    suffix = os.path.splitext(path)[1].lower()
    if start.startswith(b"MATLAB") or suffix == ".mat":
        return "mat"
    if start == b"\x89HDF\r\n\x1a\n" or suffix == ".nwb":
        return "nwb"
    if start.startswith(b"PK"):
        return "npz"
    if suffix == ".npz":
        with ArrayFile(path):  # Says what is wrong.
            pass
    raise ValueError(
        f"A recording must be {KINDS}. Tables are read with pandas and given "
        f"as frames. Received: {path!r}, which begins with {start!r}"
    )


def _from_nwb(
    path: str,
    behavior: Any,
    trials: Any,
    binning: dict[str, Any],
    options: dict[str, Any],
) -> Recording:
    # Needs pynwb.
    from keras_seqattn.decoding import nwb_file

    check_options(options, OPTIONS)
    condition = options.get("condition")
    if isinstance(condition, str):
        options = {k: v for k, v in options.items() if k != "condition"}
        if not isinstance(trials, str):
            raise ValueError(
                "A column of conditions is of a table of trials: name that "
                f"too, such as trials='trials'. Received: trials={trials!r}"
            )
    else:
        condition = None
    session = nwb_file.read_session(path, behavior, trials, condition)
    return to_recording(session, **binning, options=options)


def _from_mat(
    path: str,
    behavior: Any,
    trials: Any,
    fields: Mapping[str, Any] | None,
    binning: dict[str, Any],
    options: dict[str, Any],
) -> Recording:
    # Needs h5py, which Keras brings.
    from keras_seqattn.decoding import matlab_file

    if fields is None and matlab_file.is_reaching_session(path):
        return _from_reaching(path, behavior, trials, binning, options)
    if fields is not None and behavior is not None:
        fields = {**fields, "movement": behavior}
    fields = matlab_file.check_fields(path, fields)
    if "spikes" in fields:
        check_options(options, ())
        return _in_bins(matlab_file.read_bins(path, fields), trials, binning)
    session = matlab_file.read_session(path, fields)
    if trials is not None:
        session = session._replace(trials=_no_name(trials))
    return to_recording(session, **binning, options=options)


def _usual_quantity(path: str) -> str:
    from keras_seqattn.decoding import matlab_file

    reaching = matlab_file.is_reaching_session(path)
    return "velocity" if reaching else "as given"


def _from_reaching(
    path: str,
    behavior: Any,
    trials: Any,
    binning: dict[str, Any],
    options: dict[str, Any],
) -> Recording:
    from keras_seqattn.datasets.primate_reaching import reader
    from keras_seqattn.datasets.primate_reaching import session_file

    check_options(options, (*REACHING_OPTIONS, *OPTIONS))
    if behavior is not None:
        options = {**options, "effector": behavior}
    bin_width, quantity = binning["bin_width"] or 0.064, binning["quantity"]
    if (
        trials is None
        and not binning["lag"]
        and bin_width in session_file.BIN_WIDTHS
        and options.keys() <= set(REACHING_OPTIONS)
    ):
        return reader.read_recording(
            path,
            bin_width=bin_width,
            quantity="position" if quantity == "as given" else quantity,
            **options,
        )
    own = {k: options.pop(k) for k in ("area", "effector") if k in options}
    spike_times, times, position = session_file.read_spike_times(path, **own)
    session = SpikeSession(
        spike_times,
        times,
        position,
        title=own.get("effector", "cursor"),
        unit="mm",
        trials=_no_name(trials),
    )
    binning = {**binning, "bin_width": bin_width}
    if quantity == "position":
        binning["quantity"] = "as given"
    return to_recording(session, **binning, options=options)


def _from_npz(
    path: str,
    behavior: Any,
    trials: Any,
    binning: dict[str, Any],
    options: dict[str, Any],
) -> Recording:
    with ArrayFile(path) as file:
        kind = pynapple_file.kind_of(file)
        if kind == "TsGroup":
            units, observed = pynapple_file.read_units(file)
        elif kind is not None and "spikes" not in file:
            raise ValueError(
                f"{path!r} holds a {kind} of pynapple. Expected: the file with "
                "the spikes, a TsGroup; what is decoded is given as `behavior`."
            )
        else:
            check_options(options, ())
            return _in_bins(read_bins(file, behavior), trials, binning)
    return _in_time(units, behavior, observed, trials, binning, options)


def _in_bins(
    found: dict[str, Any], trials: Any, binning: dict[str, Any]
) -> Recording:
    own_width = found.pop("bin_width")
    # A file's own intervals.
    trials = found.pop("trials", None) if trials is None else trials
    return binned_recording(
        **found, own_width=own_width, trials=_no_name(trials), **binning
    )


def _in_time(
    spike_times: Any,
    behavior: Any,
    observed: np.ndarray | None,
    trials: Any,
    binning: dict[str, Any],
    options: dict[str, Any],
) -> Recording:
    names, times, movement = read_behavior(behavior)
    session = SpikeSession(
        spike_times,
        times,
        movement,
        title=", ".join(names),
        trials=_no_name(trials),
        observed=observed,
    )
    return to_recording(session, **binning, options=options)


def _no_name(trials: Any) -> Any:
    if isinstance(trials, str):
        raise ValueError(
            "Of this source `trials` have no name: give starts and stops "
            "(n, 2), or a file with an IntervalSet of pynapple. "
            f"Received: trials={trials!r}"
        )
    return trials
