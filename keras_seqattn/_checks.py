"""Argument checks shared by the package, in Keras' form of message.

Every message says what is wrong, what was expected and what was received.
"""

import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

# Of sizes and counts; sizes of tensors are 32-bit integers here and there.
LARGEST = 2**31 - 1
_KINDS = {
    "b": "booleans",
    "iu": "integers",
    "uif": "numbers",
    "buif": "numbers",
}


def check_array(
    name: str,
    value: Any,
    axes: str | None = None,
    kinds: str = "buif",
    *,
    copy: bool = True,
) -> np.ndarray:
    """Return what a user gave as an array of one's own, or raise.

    Nothing is lost on the way: masks are no numbers, nor are complex ones,
    text or dates, and rows of different lengths are told.

    Args:
        name: The argument, for messages.
        value: An array, or what NumPy makes one of.
        axes: Their names, such as `"(bins, units)"`: the rank. Or one of
            several: `"(bins,) or (bins, axes)"`. Default: any rank.
        kinds: Kinds of NumPy's types that are taken.
        copy: Whether it is one's own, since the caller may go on writing.
    """
    if np.ma.is_masked(value):
        raise ValueError(
            f"`{name}` must not be masked: what a mask hides would be used. "
            f"Received: {np.ma.getmaskarray(value).sum()} masked. Fill them "
            "with NaN where it may hold such, or leave them out."
        )
    try:
        array = np.array(value) if copy else np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"`{name}` must be an array{f' {axes}' if axes else ''}. Received: "
            "rows of different lengths"
        ) from error
    ranks = [
        len(one.strip("(),").split(",")) for one in (axes or "").split(" or ")
    ]
    if axes is not None and array.ndim not in ranks:
        raise ValueError(
            f"`{name}` must be of rank {' or '.join(map(str, ranks))}, {axes}. "
            f"Received: {name}.shape={array.shape}"
        )
    if array.dtype.kind not in kinds:
        expected = _KINDS.get(kinds, "integers or text")
        raise ValueError(
            f"`{name}` must hold {expected}. "
            f"Received: {name}.dtype={array.dtype}"
        )
    return array


def to_float32(array: np.ndarray) -> np.ndarray:
    """Return an array in float32; what that does not hold is infinite."""
    with np.errstate(over="ignore"):
        return array.astype("float32")


def check_names(name: str, value: Any, count: int) -> tuple[str, ...]:
    """Return names as text, or raise if they are not `count` different ones."""
    names = tuple(str(one).strip() for one in check_list(name, value))
    if len(names) != count or len(set(names)) != count or "" in names:
        raise ValueError(
            f"`{name}` must be {count} names, none empty and none twice. "
            f"Received: {name}={names}"
        )
    return names


def check_list(name: str, value: Any) -> tuple[Any, ...]:
    """Return what is in a list or another iterable, or raise if it is none."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError(f"`{name}` must be a list. Received: {name}={value!r}")
    return tuple(value)


def check_text(name: str, value: Any) -> str:
    """Return `value`, or raise if it is not a text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(
            f"`{name}` must be a text that is not empty. "
            f"Received: {name}={value!r}"
        )
    return str(value)


def check_flag(name: str, value: Any) -> bool:
    """Return `value`, or raise if it is neither True nor False."""
    # The text "false" is true to Python.
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(
            f"`{name}` must be True or False (in JSON true or false, without "
            f"quotes). Received: {name}={value!r}"
        )
    return bool(value)


def check_positive_integer(name: str, value: Any) -> int:
    """Return `value` as an int, or raise if it is not an integer >= 1."""
    if (
        isinstance(value, bool)
        or not isinstance(value, numbers.Integral)
        or value < 1
    ):
        raise ValueError(
            f"`{name}` must be a positive integer. Received: {name}={value!r}"
        )
    if int(value) > LARGEST:
        raise ValueError(
            f"`{name}` must be below 2**31. Received: {name}={value!r}"
        )
    return int(value)


def check_positive_number(name: str, value: Any) -> float:
    """Return `value` as a float, or raise if it is not finite and > 0."""
    if not _is_finite(value) or value <= 0:
        raise ValueError(
            f"`{name}` must be a finite number above 0. "
            f"Received: {name}={value!r}"
        )
    return float(value)


def check_rate(name: str, value: Any) -> float:
    """Return `value` as a float, or raise if it is not in [0, 1)."""
    if not _is_number(value) or not 0 <= value < 1:
        raise ValueError(
            f"`{name}` must be a number in the half-open range [0, 1). "
            f"Received: {name}={value!r}"
        )
    return float(value)


def check_positive_rate(name: str, value: Any) -> float:
    """Return `value` as a float, or raise if it is not in (0, 1]."""
    if not _is_number(value) or not 0 < value <= 1:
        raise ValueError(
            f"`{name}` must be a number above 0 and at most 1. "
            f"Received: {name}={value!r}"
        )
    return float(value)


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> Any:
    """Return the one of `choices` that `value` is, or raise."""
    choices = tuple(choices)
    for choice in choices:
        # Neither is True 1, nor can an array be told from a text.
        same_kind = isinstance(value, bool) == isinstance(choice, bool)
        if np.ndim(value) == 0 and same_kind and value == choice:
            return choice
    raise ValueError(
        f"`{name}` must be one of {choices}. Received: {name}={value!r}"
    )


def check_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    """Return `seeds` as a tuple, or raise if empty or not distinct."""
    seeds = tuple(
        check_non_negative_integer("seeds", seed)
        for seed in check_list("seeds", seeds)
    )
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(
            "`seeds` must hold at least one integer, and none twice. "
            f"Received: seeds={seeds}"
        )
    return seeds


def check_mask(mask: Any, input_shape: Any) -> Any:
    """Return a mask, or raise unless it has the input's first two axes.

    Broadcasting would hide the mistake. Sizes may be unknown (`None`).
    """
    if isinstance(mask, np.ndarray) or not hasattr(mask, "dtype"):
        mask = check_array("mask", mask)
    elif "string" in str(mask.dtype):  # Keras makes such of text.
        raise ValueError("`mask` must hold booleans. Received: text")
    mask_shape = mask.shape
    if len(mask_shape) != 2 or any(
        None not in (have, want) and have != want
        for have, want in zip(mask_shape, input_shape[:2], strict=True)
    ):
        raise ValueError(
            "`mask` must have the shape (batch, time) of the input. "
            f"Received: mask.shape={tuple(mask_shape)}, "
            f"inputs.shape={tuple(input_shape)}"
        )
    return mask


def check_non_negative_integer(name: str, value: Any) -> int:
    """Return `value` as an int, or raise if it is not an integer >= 0."""
    if (
        isinstance(value, bool)
        or not isinstance(value, numbers.Integral)
        or value < 0
    ):
        raise ValueError(
            f"`{name}` must be an integer that is not negative. "
            f"Received: {name}={value!r}"
        )
    # As large as a seed may be.
    if int(value) >= 2**32:
        raise ValueError(
            f"`{name}` must be below 2**32. Received: {name}={value!r}"
        )
    return int(value)


def check_non_negative_number(name: str, value: Any) -> float:
    """Return `value` as a float, or raise if it is not finite and >= 0."""
    if not _is_finite(value) or value < 0:
        raise ValueError(
            f"`{name}` must be a finite number that is not negative. "
            f"Received: {name}={value!r}"
        )
    return float(value)


def random_generator(seed: Any) -> np.random.Generator:
    """Return NumPy's generator of a seed, or raise if it is none."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`seed` must be what `numpy.random.default_rng` takes, such as an "
            f"integer that is not negative. Received: seed={seed!r}"
        ) from error


def check_finite_number(name: str, value: Any) -> float:
    """Return `value` as a float, or raise if it is not finite."""
    if not _is_finite(value):
        raise ValueError(
            f"`{name}` must be a finite number. Received: {name}={value!r}"
        )
    return float(value)


def check_integer_range(name: str, value: Any) -> tuple[int, int]:
    """Return `value` as (smallest, largest), integers >= 1 in order."""
    if (
        not isinstance(value, (tuple, list))
        or len(value) != 2
        or not all(
            isinstance(end, numbers.Integral) and not isinstance(end, bool)
            for end in value
        )
        or not 1 <= value[0] <= value[1] <= LARGEST
    ):
        raise ValueError(
            f"`{name}` must be two integers (smallest, largest), the smallest "
            "at least 1 and not above the largest, both below 2**31. "
            f"Received: {name}={value!r}"
        )
    return int(value[0]), int(value[1])


def _is_finite(value: Any) -> bool:
    """Whether it is a number, and one in float32 too."""
    return _is_number(value) and abs(value) <= float(np.finfo("float32").max)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
