"""Labels and ids, by one rule wherever they come from."""

import numbers
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_flag
from keras_seqattn._checks import check_list

UNLABELLED = ("refuse", "drop")
# From here on a float is not the integer that it was made of.
EXACT = 2**53
_WHOLE = re.compile(r"\A([+-]?\d+)\.0*\Z")
_BROKEN = re.compile(r"[+-]?\d*\.\d+")
_NOTHING = ("", "-1", "nan", "NaN")


def class_codes(
    labels: Any,
    classes: Iterable[Any] | None = None,
    unlabelled: str = "refuse",
    *,
    one_hot: bool = False,
    name: str = "label",
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Turn labels into codes, the indices into the names of classes.

    Labels are integers, floats that are whole, booleans, or names. Names are
    stripped, and a number is one class however it is written: `1`, `1.0` and
    `"1.0"`. Nothing is guessed: what is neither a code nor a name is refused.

    Args:
        labels: Labels of shape `(n,)`, an array or a list.
        classes: Names of the classes. Labels that are numbers are then codes
            from 0 on, unless all names are numbers too; then they are names,
            as text is. Default: the classes are the labels that there are, in
            order.
        unlabelled: What to do with -1, NaN, `""`, `None` and masked values:
            `"refuse"` them, or `"drop"`: they get the code -1, and the caller
            leaves them out.
        one_hot: Whether labels are of shape `(n, classes)`, one 1 a row. A
            row of zeros is unlabelled.
        name: What they are called, for messages.

    Returns:
        Codes, an int64 array of shape `(n,)`, and the names of the classes.

    Raises:
        ValueError: Labels of another shape, floats that are not whole, codes
            out of range, names that are not in `classes`, names that are
            there twice, or unlabelled ones.

    Example:
    ```python
    from keras_seqattn.windows.labels import class_codes

    print(class_codes(["WALK", "REST", "WALK "]))
    # (array([1, 0, 1]), ('REST', 'WALK'))
    codes, _ = class_codes([1, 0.0, -1], ("REST", "WALK"), "drop")
    print(codes)  # [ 1  0 -1]
    ```
    """
    check_choice("unlabelled", unlabelled, UNLABELLED)
    one_hot = check_flag("one_hot", one_hot)
    values = _one_hot(labels, name) if one_hot else _values(labels, name)
    # The few kinds there are, not each of a million samples.
    number: dict[tuple[type, Any], int] = {}
    try:
        where = np.array(
            [number.setdefault((type(v), v), len(number)) for v in values],
            dtype=np.int64,
        )
    except TypeError as error:  # A list or dictionary among them.
        raise ValueError(
            f"`{name}` must hold integers or text. Received: {error}"
        ) from error
    kinds = [(value, _text(value, name)) for _, value in number]
    missing = np.array([text in _NOTHING for _, text in kinds], bool)[where]
    if missing.any() and unlabelled == "refuse":
        raise ValueError(
            f"`{name}` must name a class everywhere. -1, NaN, '' and None mean "
            "unlabelled; `unlabelled='drop'` leaves them out. Received: "
            f"{missing.sum()} of {len(missing)} unlabelled, the first at "
            f"{missing.argmax()}"
        )
    if classes is None:
        known = {text for _, text in kinds if text not in _NOTHING}
        found = tuple(sorted(known, key=_order))
        are_codes = False
    else:
        found = class_names(classes)
        # Numbers that are names would also be codes, of other classes.
        are_codes = not all(_is_integer(label) for label in found)
    codes = [
        -1
        if text in _NOTHING
        else _check_code(text, found, name)
        if are_codes and not isinstance(value, str | bytes)
        else _check_name(text, found, name)
        for value, text in kinds
    ]
    return np.array(codes, dtype=np.int64)[where], found


def class_names(classes: Iterable[Any]) -> tuple[str, ...]:
    """Return the names of classes as stripped text.

    Raises:
        ValueError: A name is empty or there twice.
    """
    found = tuple(
        _text(value, "classes") for value in check_list("classes", classes)
    )
    if "" in found or len(set(found)) != len(found):
        raise ValueError(
            "`classes` must be names, none empty and none twice. "
            f"Received: classes={found}"
        )
    return found


def ids(values: Any, name: str = "subject") -> np.ndarray:
    """Return who or what something is of: integers or text, as they are.

    Args:
        values: Ids of shape `(n,)`: integers, text, or floats that are whole
            and below 2**53. Of text and integers mixed, all become text.
        name: What they are called, for messages.

    Returns:
        An integer array, or an array of text, of shape `(n,)`.

    Raises:
        ValueError: Another shape, an id that is empty or missing, or a float
            that may not be the number that was meant.

    Example:
    ```python
    from keras_seqattn.windows.labels import ids

    print(ids([2**53, 2**53 + 1]))  # [9007199254740992 9007199254740993]
    print(ids(["anna", "ben "]))  # ['anna' 'ben']
    ```
    """
    found: list[int | str] = [
        one_id(value, name) for value in _values(values, name)
    ]
    if all(isinstance(value, int) for value in found):
        lowest, highest = min(found, default=0), max(found, default=0)
        for dtype in (np.int64, np.uint64):
            limits = np.iinfo(dtype)
            if limits.min <= int(lowest) and int(highest) <= limits.max:
                return np.array(found, dtype=dtype)
    return np.array([str(value) for value in found])


def group_labels(name: str, values: Any) -> np.ndarray:
    """Return labels `(n,)` by which something is told apart.

    Integers stay integers, with -1 where there is none, if all are such or
    missing; else all become text, with `""` where there is none. A number
    that is not whole, such as a contrast, is its text.

    Args:
        name: What they are called, for messages.
        values: Integers, text, numbers, `None` or NaN; masked ones are
            missing.

    Raises:
        ValueError: Another shape or type.
    """
    found = [_group(value, name) for value in _values(values, name)]
    whole = [value for value in found if isinstance(value, int)]
    if len(whole) + found.count("") == len(found) and all(
        -(2**63) <= value < 2**63 for value in whole
    ):
        return np.array([-1 if v == "" else v for v in found], np.int64)
    return np.array([str(value) for value in found])


def _group(value: Any, name: str) -> int | str:
    if isinstance(value, float) and value % 1:
        return "" if value != value else repr(value)
    if isinstance(value, str):
        return value.strip()
    text = _text(value, name)
    return text if isinstance(value, bytes) or not text else int(text)


def ids_of_text(values: Iterable[str], name: str = "subject") -> np.ndarray:
    """Return ids that a text file spells: integers if all are, or text.

    `"01"` and `"1"` stay two persons.

    Raises:
        ValueError: An id that is empty, or a number that is not whole.
    """
    texts = [_WHOLE.sub(r"\1", value.strip()) for value in values]
    if broken := list(filter(_BROKEN.fullmatch, texts)):
        raise ValueError(
            f"`{name}` must hold integers or text. Received: {broken[0]!r}"
        )
    whole = all(_is_integer(text) and str(int(text)) == text for text in texts)
    return ids([int(text) for text in texts] if whole else texts, name)


def _values(labels: Any, name: str) -> list[Any]:
    """Return labels one by one, as Python has them; masked ones are None."""
    if isinstance(labels, list | tuple):
        # An array would make text of [1, "a"], floats of [2**53 + 1, 0.0].
        array = np.empty(len(labels), dtype=object)
        if any(np.ndim(value) for value in labels):
            array = np.asarray(labels)
        else:
            array[:] = labels
    else:
        array = labels if np.ma.isMaskedArray(labels) else np.asarray(labels)
    if array.ndim != 1:
        raise ValueError(
            f"`{name}` must be of rank 1, one value each. (Of one-hot labels "
            "take `numpy.argmax(..., axis=1)`.) "
            f"Received: {name}.shape={array.shape}"
        )
    return array.tolist()


def _one_hot(labels: Any, name: str) -> list[int]:
    array = np.asarray(labels)
    if (
        array.ndim != 2
        or array.dtype.kind not in "buif"
        or not np.isin(array, (0, 1)).all()
        or (array.sum(axis=1) > 1).any()
    ):
        raise ValueError(
            f"`{name}` must be of shape (n, classes), with one 1 a row and "
            "zeros besides. "
            f"Received: {name}.shape={array.shape}, {name}.dtype={array.dtype}"
        )
    return np.where(array.any(axis=1), array.argmax(axis=1), -1).tolist()


def _text(value: Any, name: str) -> str:
    """Return a label as text, `""` for none."""
    if _is_missing(value):
        return ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if isinstance(value, str):
        # The text of a whole float is that of its integer.
        return _WHOLE.sub(r"\1", value.strip())
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, numbers.Real):
        return str(_whole(value, name))
    raise ValueError(
        f"`{name}` must hold integers or text. Received: {value!r} of type "
        f"{type(value).__name__}"
    )


def _whole(value: Any, name: str) -> int:
    if isinstance(value, numbers.Integral):
        return int(value)
    number = float(value)
    if not number.is_integer() or abs(number) >= EXACT:
        raise ValueError(
            f"`{name}` must hold integers or text: a float must be whole, and "
            f"small enough to be exact. Received: {value!r}"
        )
    return int(number)


def one_id(value: Any, name: str) -> int | str:
    """Return an id as it is, or raise: the rule of `ids`."""
    if isinstance(value, bool | np.bool_):
        raise ValueError(
            f"`{name}` must hold integers or text. Received: {value!r}"
        )
    if isinstance(value, numbers.Real) and not _is_missing(value):
        return _whole(value, name)
    text = value.strip() if isinstance(value, str) else _text(value, name)
    if not text:
        raise ValueError(
            f"`{name}` must hold an id everywhere, an integer or text. "
            f"Received: {value!r}"
        )
    return text


def _is_missing(value: Any) -> bool:
    """Whether it is None, NaN, or pandas' NA and NaT."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, numbers.Real) and bool(value != value)


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isascii() and text.removeprefix("-").isdigit()


def _order(text: str) -> tuple[bool, int, str]:
    """Numbers by size, before names."""
    return (False, int(text), "") if _is_integer(text) else (True, 0, text)


def _check_code(text: str, classes: tuple[str, ...], name: str) -> int:
    if not 0 <= int(text) < len(classes):
        raise ValueError(
            f"`{name}` must be in 0 .. {len(classes) - 1}, an index into "
            f"`classes`, or a name in it. Received: {text} for "
            f"classes={classes}. (Of labels that count from 1, subtract 1.)"
        )
    return int(text)


def _check_name(text: str, classes: tuple[str, ...], name: str) -> int:
    if text not in classes:
        raise ValueError(
            f"`{name}` must hold names in `classes`. Received: {text!r} for "
            f"classes={classes}"
        )
    return classes.index(text)
