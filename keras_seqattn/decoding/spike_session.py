"""What a reader finds in a session's files, before it is in bins."""

import contextlib
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_seqattn.windows.recording import Recording
from keras_seqattn.windows.trials import check_intervals

# Of `Recording.from_spike_times`, besides what `load_recording` itself takes.
OPTIONS = (
    "alignment",
    "condition",
    "look_ahead",
    "max_gap",
    "name",
    "observed",
    "smoothing",
    "unit_ids",
)
_DERIVED = {"velocity": "/s", "acceleration": "/s^2"}


class SpikeSession(NamedTuple):
    """Spike times, and a behaviour with its own time stamps.

    Attributes:
        spike_times: For each unit its spike times in seconds.
        times: Seconds of each sample of the movement.
        movement: Array of shape `(samples, axes)`.
        title: What the movement is.
        unit: Its physical unit, `""` if unknown.
        trials: Starts and stops in seconds, or `None`.
        condition: A label a trial, or `None`.
        observed: Starts and stops of when spikes were recorded, or `None`.
    """

    spike_times: Mapping[Any, np.ndarray]
    times: np.ndarray
    movement: np.ndarray
    title: str = "movement"
    unit: str = ""
    trials: Any = None
    condition: Sequence[Any] | None = None
    observed: np.ndarray | None = None


def to_recording(
    session: SpikeSession,
    *,
    bin_width: float | None,
    quantity: str,
    lag: float,
    options: Mapping[str, Any],
) -> Recording:
    """Bin a session; what the caller gives counts before what the file has."""
    check_options(options, OPTIONS)
    if bin_width is None:
        raise ValueError(
            "Spike times are counted in bins: give `bin_width` in seconds, "
            "such as bin_width=0.05."
        )
    movement, unit = session.movement, session.unit
    if quantity == "direction" and unit.lower().startswith("deg"):
        movement, unit = np.radians(movement), "radians"
    given = {
        "name": _title(session.title, unit, quantity),
        "condition": session.condition,
        "observed": _while_moving(session),
        **options,
    }
    return Recording.from_spike_times(
        session.spike_times,
        session.times,
        movement,
        bin_width=bin_width,
        quantity=quantity,
        lag=lag,
        trials=session.trials,
        **given,
    )


def check_options(options: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise if there is an option that a source does not have."""
    unknown = sorted(options.keys() - set(known))
    if unknown:
        raise ValueError(
            f"{unknown} are no options for this source. "
            f"Expected: some of {list(known)}"
        )


@contextlib.contextmanager
def errors_of(path: str) -> Iterator[None]:
    """Name the file in every error about what it holds."""
    try:
        yield
    except ValueError as error:
        if path in str(error) or repr(path)[1:-1] in str(error):
            raise
        raise ValueError(f"{path!r}: {error}") from error


def listed(series: Sequence[str]) -> str:
    """Return lines for a message, not a thousand of them."""
    more = [f"... and {len(series) - 40} more"] if len(series) > 40 else []
    return "".join(f"\n  {line}" for line in [*series[:40], *more])


def stack_columns(
    columns: Sequence[tuple[str, np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Put series of one clock beside each other.

    Args:
        columns: Name, times and values `(samples,)` or `(samples, axes)` of
            each.

    Returns:
        Times `(samples,)` and values `(samples, axes)`.

    Raises:
        ValueError: They have not the same times.
    """
    first, times, _ = columns[0]
    values = []
    for name, own, value in columns:
        if own.shape != times.shape or not np.allclose(
            own, times, rtol=0, atol=1e-6, equal_nan=True
        ):
            raise ValueError(
                "Series that are decoded together must have the same times. "
                f"Received: {first!r} with {len(times)} samples"
                f"{_span(times)}, {name!r} with {len(own)}{_span(own)}"
            )
        values.append(np.reshape(value, (len(own), -1)))
    return times, np.concatenate(values, axis=1)


def as_names(behavior: Any) -> list[str]:
    """Return one name, or several, as a list."""
    names = behavior if isinstance(behavior, list | tuple) else [behavior]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(
            "`behavior` must be a name, or a list of names. "
            f"Received: behavior={behavior!r}"
        )
    return list(names)


def _span(times: np.ndarray) -> str:
    return f" from {times[0]:.6g} to {times[-1]:.6g} s" if len(times) else ""


def _title(title: str, unit: str, quantity: str) -> str:
    if not unit or unit.lower() in ("n/a", "na", "unknown", "none", "a.u."):
        return title
    if quantity == "direction":
        return title
    return f"{title} ({unit}{_DERIVED.get(quantity, '')})"


def _while_moving(session: SpikeSession) -> np.ndarray | None:
    """Return when both spikes and movement were recorded.

    `None` if spikes were all the time that there is movement: then bins are
    those of a session that does not tell, and begin where the movement does.
    """
    observed = check_intervals("observed", session.observed)
    times = np.asarray(session.times)
    if observed is None or not len(times):
        return None
    first, last = times[0], times[-1]
    inside = observed[(observed[:, 1] > first) & (observed[:, 0] < last)]
    if not len(inside):
        raise ValueError(
            "Spikes were not observed when there is behaviour. Received: "
            f"spikes from {observed[0, 0]:.6g} to {observed[-1, 1]:.6g} s, "
            f"behaviour from {first:.6g} to {last:.6g} s"
        )
    inside = np.clip(inside, first, last)
    return None if np.array_equal(inside, [[first, last]]) else inside
