"""Wrong values around right ones: what users give by mistake."""

from typing import Any

import numpy as np

PLAIN = (
    *(None, True, False, 0, -1, 1, 2, 7, 10**30, -0.5, 0.5, 1e-300, 1e300),
    *(float("nan"), float("inf"), 1j, "", "a", "0.05", b"a", [], {}, (), [[]]),
    *([1, [2, 3]], {"a": 1}, [None], ["a", 1], object(), np.float64(0.05)),
    *(np.datetime64("2026-01-01"), np.zeros(3), np.zeros((2, 0)), range(3)),
)


def other(rng: np.random.Generator, value: Any) -> Any:
    """Return something like `value`, mostly wrong."""
    if rng.random() < 0.25:
        return PLAIN[rng.integers(len(PLAIN))]
    if isinstance(value, np.ndarray):
        return _array(rng, value)
    if isinstance(value, (list, tuple)) and len(value):
        return _sequence(rng, value)
    if isinstance(value, dict) and value:
        found = dict(value)
        key = list(found)[rng.integers(len(found))]
        if rng.random() < 0.3:
            del found[key]
        else:
            found[key] = other(rng, found[key])
        return found
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        change = rng.integers(6)
        return (
            *(-value, value * 1000, value + 0.5, np.array([value, value])),
            *(str(value), np.float32(value)),
        )[change]
    return PLAIN[rng.integers(len(PLAIN))]


def _array(rng: np.random.Generator, value: np.ndarray) -> Any:
    def filled(number: Any) -> np.ndarray:
        found = value.astype(np.result_type(value, type(number)))
        some = rng.random(value.shape) < 0.1
        return np.where(some, number, found)

    # Of the first axis, as a column.
    number = np.arange(len(value)).reshape(-1, *[1] * (value.ndim - 1))
    changes = (
        lambda: filled(np.nan),
        lambda: filled(np.inf),
        lambda: filled(1e300),
        lambda: filled(-1),
        lambda: np.ma.array(value, mask=rng.random(value.shape) < 0.1),
        lambda: value + 1j,
        lambda: value.astype(str),
        lambda: value.astype(object),
        lambda: np.where(rng.random(value.shape) < 0.1, None, value),
        lambda: value.astype("int64").astype("M8[s]"),
        lambda: value.astype(bool),
        lambda: value.astype("float16"),
        lambda: value.astype("int64").astype("uint64"),
        lambda: value * 1000,
        lambda: value * 0,
        lambda: value * 1e-7,
        lambda: np.eye(int(value.max()) + 1)[value],  # One-hot.
        lambda: np.where(number > len(value) * 0.7, value[-1:], value),
        lambda: filled(10**9),
        lambda: value[::-1],
        lambda: value[: len(value) // 2],
        lambda: value[:0],
        lambda: value[:1],
        lambda: value[None],
        lambda: value[..., None],
        lambda: value.T,
        lambda: value.tolist(),
        lambda: [*value.tolist(), [1, [2]]],
        lambda: np.repeat(value, 2, axis=0),
        lambda: np.asfortranarray(value)[::2],
    )
    try:
        return changes[rng.integers(len(changes))]()
    except (TypeError, ValueError, IndexError):  # Of text, say.
        return value[:0]


def _sequence(rng: np.random.Generator, value: Any) -> Any:
    place = rng.integers(len(value))
    change = rng.integers(7)
    found = list(value)
    if change == 0:
        found.pop(place)
    elif change == 1:
        found.append(found[place])
    elif change == 2:
        return np.array(found, dtype=object)
    elif change == 3:
        return dict(enumerate(found))
    elif change == 4:
        return found[::-1]
    else:
        found[place] = other(rng, found[place])
    return found


def json_of(rng: np.random.Generator, value: Any) -> Any:
    """Return JSON of another shape somewhere, or without a part."""
    if isinstance(value, (dict, list)) and value and rng.random() < 0.8:
        found = value.copy()
        keys = list(found) if isinstance(found, dict) else range(len(found))
        key = keys[rng.integers(len(keys))]
        if rng.random() < 0.2:
            del found[key]
        else:
            found[key] = json_of(rng, found[key])
        return found
    plain = (
        None,
        True,
        -1,
        0,
        7,
        0.5,
        1e300,
        "",
        "a",
        "COMPLETED",
        [],
        {},
        [0],
    )
    return plain[rng.integers(len(plain))]


def bytes_of(rng: np.random.Generator, data: bytes) -> bytes:
    """Return a file's bytes, damaged."""
    found = bytearray(data)
    change = rng.integers(5)
    if change == 0:
        return bytes(found[: rng.integers(len(found))])
    if change == 1:
        at = rng.integers(len(found))
        found[at:at] = rng.bytes(int(rng.integers(1, 40)))
    elif change == 2:
        at = int(rng.integers(len(found)))
        del found[at : at + int(rng.integers(1, 40))]
    else:
        for at in rng.integers(len(found), size=int(rng.integers(1, 9))):
            found[at] = rng.integers(256)
    return bytes(found)
