"""Spike times as laboratories keep them, one array a unit."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn.windows.labels import one_id


def spike_trains(
    spike_times: Any, unit_ids: Sequence[Any] | None = None
) -> tuple[tuple[Any, ...], list[np.ndarray]]:
    """Return the units' ids and, for each, its spike times in seconds.

    Args:
        spike_times: A list of arrays, one a unit, numbered from 0; a mapping
            from ids to arrays, such as a pynapple `TsGroup`, in its own
            order; or a long table (a frame or a mapping) with the columns
            `unit` and `time`, whose units are sorted by id.
        unit_ids: The units wanted, in this order. Those of a table that has
            no row for them are silent. For a list of arrays: their names.

    Raises:
        ValueError: Times that are NaN or no numbers, ids that are missing or
            there twice, or no spike at all.
    """
    found = _by_unit(spike_times, unit_ids)
    if unit_ids is not None:
        wanted = check_unit_ids(unit_ids)
        missing = [unit for unit in wanted if unit not in found]
        if missing and not _is_table(spike_times):
            raise ValueError(
                "`unit_ids` must name units of `spike_times`. Received: "
                f"{missing[:20]}, which are not among {[*found][:20]}"
            )
        found = {unit: found.get(unit, np.empty(0)) for unit in wanted}
    trains = [_check_train(unit, train) for unit, train in found.items()]
    if not trains:
        raise ValueError("`spike_times` must hold a unit. Received: none")
    if not any(len(train) for train in trains):
        raise ValueError(
            "`spike_times` must hold a spike. Received: "
            f"{len(trains)} units, all of them silent"
        )
    return tuple(found), trains


def check_unit_ids(unit_ids: Sequence[Any]) -> tuple[Any, ...]:
    """Return ids as integers and text, or raise if two are equal.

    An id never goes through a float: 2**53 and 2**53 + 1 are two units.
    """
    if isinstance(unit_ids, str | bytes) or not hasattr(unit_ids, "__iter__"):
        raise ValueError(
            "`unit_ids` must hold one id a unit, text or an integer. "
            f"Received: unit_ids={unit_ids!r}"
        )
    ids = tuple(one_id(value, "unit_ids") for value in unit_ids)
    if len(set(map(str, ids))) != len(ids):
        twice = sorted(
            {str(i) for i in ids if list(map(str, ids)).count(str(i)) > 1}
        )
        raise ValueError(
            f"`unit_ids` must name each unit once. Received twice: {twice[:20]}"
        )
    return ids


def _is_table(value: Any) -> bool:
    names = getattr(value, "columns", value if isinstance(value, dict) else ())
    return {"unit", "time"} <= {name for name in names}


def _by_unit(value: Any, unit_ids: Sequence[Any] | None) -> dict[Any, Any]:
    if _is_table(value):
        return _from_table(value["unit"], value["time"])
    if hasattr(value, "columns"):
        raise ValueError(
            "A table of `spike_times` must have the columns 'unit' and "
            f"'time'. Received: columns={list(value.columns)[:20]}"
        )
    if isinstance(value, Mapping):
        ids = check_unit_ids(list(value.keys()))
        return dict(zip(ids, value.values(), strict=True))
    if (
        isinstance(value, (str, bytes))
        or not hasattr(value, "__len__")
        or any(not hasattr(train, "__len__") for train in value)
    ):
        raise ValueError(
            "`spike_times` must hold one array of seconds a unit: [times] for "
            f"a single unit. Received: {_short(value)}"
        )
    ids = tuple(range(len(value)))
    if unit_ids is not None:
        ids = check_unit_ids(unit_ids)
    if len(ids) != len(value):
        raise ValueError(
            "`unit_ids` must name each unit of `spike_times`. Received: "
            f"{len(ids)} ids for {len(value)} units"
        )
    return dict(zip(ids, value, strict=True))


def _from_table(units: Any, times: Any) -> dict[Any, np.ndarray]:
    if isinstance(units, list | tuple):
        # An array would make text of [1, "a"].
        units = np.array([*units, None], dtype=object)[:-1]
    unit = check_array("the column 'unit'", units, "(spikes,)", "biufOSU")
    time = check_array("the column 'time'", times, "(spikes,)", "uif")
    if unit.shape != time.shape:
        raise ValueError(
            "The columns 'unit' and 'time' must have one entry a spike. "
            f"Received: shapes {unit.shape} and {time.shape}"
        )
    if not len(unit):
        raise ValueError(
            "A table of `spike_times` must hold a spike. Received: no row"
        )
    # The few that there are, not each of a million spikes.
    if unit.dtype.kind == "O":
        place: dict[Any, int] = {}
        code = np.array([place.setdefault(v, len(place)) for v in unit])
        values = list(place)
    else:
        found, code = np.unique(unit, return_inverse=True)
        values = found.tolist()
    names = [one_id(value, "unit") for value in values]
    # Numbers as numbers, then text.
    ids = sorted(set(names), key=lambda i: (isinstance(i, str), i))
    code = np.array([ids.index(name) for name in names], dtype=np.int64)[code]
    order = np.argsort(code, kind="stable")
    bounds = np.searchsorted(code[order], np.arange(1, len(ids)))
    parts = np.split(time[order], bounds)
    check_unit_ids(ids)
    return dict(zip(ids, parts, strict=True))


def _check_train(unit: Any, train: Any) -> np.ndarray:
    train = getattr(train, "t", train)
    if hasattr(train, "__len__") and not len(train):
        return np.empty(0)
    times = check_array(
        f"spike times of unit {unit!r}",
        train,
        "(spikes,) or (1, spikes)",
        "uif",
    )
    # MATLAB keeps a list as a row or a column.
    if times.ndim > 1 and max(times.shape) != times.size:
        raise ValueError(
            f"The spike times of unit {unit!r} must be of rank 1. "
            f"Received: shape {times.shape}"
        )
    times = times.ravel().astype(np.float64)
    bad = ~np.isfinite(times)
    if bad.any():
        raise ValueError(
            f"The spike times of unit {unit!r} must be finite. Received: NaN "
            f"or infinity in {bad.sum()} of {len(times)}, the first at entry "
            f"{np.argmax(bad)}. Leave them out."
        )
    return times


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."
