"""From spikes, as they come, to bins."""

import numbers
import threading
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_finite_number
from keras_seqattn._checks import check_non_negative_integer
from keras_seqattn._checks import check_non_negative_number
from keras_seqattn._checks import check_positive_number
from keras_seqattn.windows.binning import rounding
from keras_seqattn.windows.recording import check_bin_width
from keras_seqattn.windows.spike_trains import check_unit_ids

# Seconds: nanoseconds since 1970 would be more.
LATEST = 1e12
MOST_BINS = 1_000_000


class SpikeBin(NamedTuple):
    """A bin that is complete.

    Attributes:
        end_time: Its end in seconds; it holds the spikes from `end_time -
            bin_width` on and before `end_time`.
        counts: Integers `(units,)`, spikes of each unit.
    """

    end_time: float
    counts: np.ndarray


class SpikeBinner:
    """Counts spikes with time stamps in bins, in front of a session.

    Bin `k` holds the spikes with `start + k bin_width <= time < start + (k +
    1) bin_width`. A spike within the rounding of an edge is on it, so that one
    at 0.15 s begins the fourth bin of 0.05 s, though `3 * 0.05 > 0.15`.

    Its clock is the newest stamp or `now` that it has seen. A bin is complete
    when the clock has reached its end and `patience` beyond. Till then its
    spikes may come in any order, also together with those of later bins: a
    packet is counted before the clock goes on. Afterwards they are dropped,
    and counted in `late`.

    A clock that was set anew is refused rather than believed, for its spikes
    would all be late, or lie in a far future.

    Whatever is refused leaves the binner as it was. Two threads may share it,
    one that pushes and one with the clock.

    Args:
        unit_ids: Text or integer for each unit, in the order of the counts.
            `export.preprocessing_of(model).unit_ids` has those of a decoder.
        bin_width: Width of a bin in seconds, at most 1.
        start: Where the first bin begins, in seconds; spikes before it are
            late. Default: the last multiple of `bin_width` that is not after
            the first stamp.
        patience: Seconds that a complete bin waits for late spikes.
        unknown: What becomes of a spike of another unit: `"refuse"` (default)
            raises, `"ignore"` counts it in `ignored`.
        max_gap: Seconds that the clock may jump ahead, filled with empty
            bins. Default: 10.
        max_late: Seconds. A packet that is later than this, or than
            `patience`, as a whole comes from a clock that was set anew.
            Default: 1.

    Attributes:
        late: Number of spikes that came after their bin, or lay before
            `start`.
        ignored: Number of spikes of unknown units.

    Raises:
        ValueError: An argument out of its range.

    Example:
    ```python
    import keras_seqattn as ks

    binner = ks.decoding.SpikeBinner(["a", "b"], bin_width=0.05, start=0.0)
    print(binner.push([0.01, 0.04, 0.02], ["a", "a", "b"]))  # []
    for end_time, counts in binner.push([0.15], ["b"]):
        print(round(end_time, 2), counts)
    # 0.05 [2 1]
    # 0.1 [0 0]
    # 0.15 [0 0]
    ((end_time, counts),) = binner.advance(0.2)
    print(counts)  # [0 1]
    print(binner.push([0.19], ["a"]), binner.late)  # [] 1
    ```
    """

    def __init__(
        self,
        unit_ids: Sequence[str | int] | np.ndarray,
        bin_width: float,
        start: float | None = None,
        patience: float = 0.0,
        *,
        unknown: str = "refuse",
        max_gap: float = 10.0,
        max_late: float = 1.0,
    ) -> None:
        self.unit_ids = _unit_ids(unit_ids)
        self.bin_width = check_bin_width(bin_width)
        self.patience = check_non_negative_number("patience", patience)
        self.unknown = check_choice("unknown", unknown, ("refuse", "ignore"))
        self.max_gap = check_positive_number("max_gap", max_gap)
        if self.max_gap / self.bin_width > MOST_BINS:
            raise ValueError(
                f"`max_gap` may hold at most {MOST_BINS:,} bins, for they are "
                f"filled. Received: max_gap={max_gap}, bin_width={bin_width}"
            )
        self.max_late = check_non_negative_number("max_late", max_late)
        self._columns: dict[Any, int] = {
            unit: i for i, unit in enumerate(self.unit_ids)
        }
        self._lock = threading.Lock()
        self.reset(start)

    def reset(self, start: float | None = None) -> None:
        """Begin anew, without what the open bins hold.

        A `StreamingSession` behind it has a `reset` of its own.

        Args:
            start: As in the constructor, by the clock that counts from now on.
        """
        if start is not None:
            start = _seconds("start", start)
        with self._lock:
            self._start = start
            self._now: float | None = None
            self._closed = 0  # Bins that are complete.
            self._open = np.zeros((0, len(self.unit_ids)), np.int64)
            self.late = 0
            self.ignored = 0

    def push(self, times: Any, units: Any) -> list[SpikeBin]:
        """Count spikes.

        Args:
            times: Seconds, `(spikes,)`, in any order.
            units: Id of the unit of each.

        Returns:
            The bins that are complete now, oldest first.

        Raises:
            ValueError: Arrays of other types or lengths, a stamp that is not
                finite, an unknown unit, or a clock that jumps.
        """
        stamps = _stamps(times)
        columns = self._find(units, len(stamps))
        if not len(stamps):
            return []
        with self._lock:
            newest = float(stamps.max())
            self._check_back(
                newest, max(self.patience, self.max_late), "The newest spike"
            )
            self._check_ahead(float(stamps.min()), newest)
            self._count(stamps, columns)
            return self._go_on(newest)

    def advance(self, now: float) -> list[SpikeBin]:
        """Let the clock go on where no spikes come.

        Args:
            now: Seconds, by the clock that stamps the spikes. One that goes
                back by no more than `patience` and a bin changes nothing.

        Returns:
            The bins that are complete now, oldest first.

        Raises:
            ValueError: Not a finite number, or a clock that jumps.
        """
        now = _seconds("now", now)
        with self._lock:
            self._check_back(now, self.patience + self.bin_width, "The clock")
            self._check_ahead(now, now)
            return self._go_on(now)

    def state_dict(self) -> dict[str, Any]:
        """Return open bins, clock and counters, as JSON values."""
        with self._lock:
            return {
                "unit_ids": list(self.unit_ids),
                "bin_width": self.bin_width,
                "start": self._start,
                "now": self._now,
                "closed": self._closed,
                "open": self._open.tolist(),
                "late": self.late,
                "ignored": self.ignored,
            }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where another binner of these units was.

        Args:
            state: From `state_dict`.

        Raises:
            ValueError: A state of other units or bins, or none at all.
        """
        expected = self.state_dict()
        if not isinstance(state, dict) or state.keys() != expected.keys():
            raise ValueError(
                "The state must be a dictionary as from `state_dict`, with "
                f"{list(expected)}. Received: state={state!r}"
            )
        for name in ("unit_ids", "bin_width"):
            if state[name] != expected[name]:
                raise ValueError(
                    f"This is the state of a binner of another `{name}`, "
                    f"which is {expected[name]!r} here. "
                    f"Received: {state[name]!r}"
                )
        start, now = (
            None if state[name] is None else _seconds(name, state[name])
            for name in ("start", "now")
        )
        closed, late, ignored = (
            check_non_negative_integer(name, state[name])
            for name in ("closed", "late", "ignored")
        )
        rows = np.zeros((0, len(self.unit_ids)), np.int64)
        if len(state["open"]):
            rows = check_array("open", state["open"], "(bins, units)", "iu")
        if start is not None:
            newest = start if now is None else now
            reached = int(bin_numbers(np.array(newest), start, self.bin_width))
            # What bins are complete lies behind the clock.
            if not closed <= max(reached, 0) <= closed + MOST_BINS:
                raise ValueError(
                    "`closed` must be the number of bins that are complete at "
                    f"`now`. Received: closed={closed}, now={now}, "
                    f"start={start}"
                )
        if (
            rows.shape[1] != len(self.unit_ids)
            or (rows < 0).any()
            or (start is None and (len(rows) or closed or now is not None))
        ):
            raise ValueError(
                "`open` must hold counts (bins, units) of bins after a "
                f"`start`. Received: open={state['open']!r}, start={start!r}"
            )
        with self._lock:
            self._start, self._now, self._closed = start, now, closed
            self._open = rows.astype(np.int64)
            self.late, self.ignored = late, ignored

    def _find(self, units: Any, length: int) -> np.ndarray:
        """Columns of the units, -1 for one to be ignored."""
        single = isinstance(units, str) or not np.iterable(units)
        found = [units] if single else list(units)
        if len(found) != length or getattr(units, "ndim", 1) > 1:
            raise ValueError(
                "`times` and `units` must have one entry a spike, in one row. "
                f"Received: {length} times and {len(found)} units"
            )
        columns = np.array(
            [
                # 1.0 and True are equal to 1, but no ids.
                self._columns.get(unit, -1)
                if isinstance(unit, (str, int, np.integer))
                and not isinstance(unit, bool)
                else -1
                for unit in found
            ],
            dtype=np.int64,
        )
        if self.unknown == "refuse" and (columns < 0).any():
            other = [
                unit
                for unit, column in zip(found, columns, strict=True)
                if column < 0
            ]
            raise ValueError(
                "A spike is of none of the units that this binner counts, by "
                'id and type. `unknown="ignore"` drops such spikes. Received: '
                f"{other[0]!r}, expected one of {_some(self.unit_ids)}"
            )
        return columns

    def _check_back(self, now: float, allowed: float, what: str) -> None:
        if self._now is not None and now < self._now - allowed:
            raise ValueError(
                f"{what} is at {now:.6g} s, {self._now - now:.3g} s before "
                f"what has been seen: the clock was set anew. `reset(start)` "
                "begins anew, with the new clock, and so must the session "
                f"behind it. Received: {now!r} after {self._now!r}, allowed "
                f"are {allowed:.3g} s back"
            )

    def _check_ahead(self, oldest: float, newest: float) -> None:
        seen = [x for x in (self._start, self._now) if x is not None]
        before = max(seen, default=oldest)
        if newest > before + self.max_gap:
            raise ValueError(
                f"The clock jumps ahead by {newest - before:.3g} s, more than "
                f"`max_gap`, {self.max_gap:.3g} s, which would be filled with "
                "empty bins. `reset(start)` begins anew behind the gap; "
                "`advance(now)` tells the clock where no spikes come. "
                f"Received: {newest!r} after {before!r}"
            )
        if self._start is None:
            number = bin_numbers(np.array(oldest), 0.0, self.bin_width)
            self._start = float(number * self.bin_width)

    def _count(self, stamps: np.ndarray, columns: np.ndarray) -> None:
        rows = self._numbers(stamps) - self._closed
        known, late = columns >= 0, rows < 0
        self.ignored += int((~known).sum())
        self.late += int((known & late).sum())
        kept = known & ~late
        if not kept.any():
            return
        self._make_room(int(rows[kept].max()) + 1)
        places = rows[kept] * len(self.unit_ids) + columns[kept]
        self._open += np.bincount(places, minlength=self._open.size).reshape(
            self._open.shape
        )

    def _go_on(self, now: float) -> list[SpikeBin]:
        self._now = now if self._now is None else max(now, self._now)
        reached = int(self._numbers(np.array(self._now - self.patience)))
        count = reached - self._closed
        if count <= 0:
            return []
        self._make_room(count)
        start = self._start or 0.0
        found = [
            SpikeBin(start + (self._closed + i + 1) * self.bin_width, counts)
            for i, counts in enumerate(self._open[:count].copy())
        ]
        self._closed, self._open = reached, self._open[count:].copy()
        return found

    def _numbers(self, stamps: np.ndarray) -> np.ndarray:
        return bin_numbers(stamps, self._start or 0.0, self.bin_width)

    def _make_room(self, count: int) -> None:
        missing = max(count - len(self._open), 0)
        self._open = np.pad(self._open, ((0, missing), (0, 0)))


def bin_numbers(
    times: np.ndarray, start: float, bin_width: float
) -> np.ndarray:
    """Return the number of the bin that each time is in.

    By the rule of `windows.binning.count_spikes`: one within the rounding of
    an edge is in the bin that begins there.
    """
    slack = rounding(np.append(times, start), bin_width)
    return np.floor((times + slack - start) / bin_width).astype(np.int64)


def _unit_ids(unit_ids: Any) -> tuple[str | int, ...]:
    if isinstance(unit_ids, str) or not np.iterable(unit_ids):
        raise ValueError(
            "`unit_ids` must hold one id a unit, text or an integer. "
            f"Received: unit_ids={unit_ids!r}"
        )
    ids = check_unit_ids(list(unit_ids))
    if not ids:
        raise ValueError("`unit_ids` must not be empty. Received: no unit")
    return ids


def _seconds(name: str, value: Any) -> float:
    return float(_stamps(check_finite_number(name, value))[0])


def _stamps(times: Any) -> np.ndarray:
    if not isinstance(times, numbers.Real):
        stamps = check_array("times", times, "(spikes,)", "uif")
    else:
        stamps = np.array([float(times)])
    if not np.isfinite(stamps).all():
        raise ValueError(
            "`times` must be finite. Received: NaN or infinity in "
            f"{(~np.isfinite(stamps)).sum()} of {len(stamps)} spikes"
        )
    if np.abs(stamps).max(initial=0) > LATEST:
        raise ValueError(
            "`times` must be seconds of a clock, not nanoseconds. "
            f"Received: {np.abs(stamps).max():g}"
        )
    return stamps.astype(np.float64)


def _some(ids: Sequence[str | int]) -> str:
    shown = ", ".join(map(repr, ids[:5]))
    return f"{shown}, ... ({len(ids)} units)" if len(ids) > 5 else shown
