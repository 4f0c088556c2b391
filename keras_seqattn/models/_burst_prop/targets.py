"""What a network that learns by bursts needs of its data."""

from typing import Any


def check_sample_weight(sample_weight: Any, like: Any) -> None:
    """Raise if there are weights, but not one for each target `like` has."""
    if sample_weight is None:
        return
    shape, wanted = tuple(sample_weight.shape), tuple(like.shape)[:-1]
    rank = len(wanted)
    if not _same(shape[:rank], wanted) or shape[rank:] not in ((), (1,)):
        what = "example, of shape (batch,)", "step, of shape (batch, time)"
        raise ValueError(
            f"`sample_weight` must hold one number for each {what[rank - 1]}. "
            f"Received: sample_weight.shape={shape}, for {wanted}"
        )


def check_targets(y: Any, like: Any, outputs: int | None = None) -> None:
    """Raise if targets do not look `like` predictions, or the inputs.

    Args:
        y: Targets, or what came as such.
        like: Tensor of the rank that is wanted.
        outputs: Targets of each example or step. Default: as in `like`.
    """
    have, want = getattr(y, "shape", None), tuple(like.shape)
    outputs = outputs or want[-1]
    if have is None or not _same(tuple(have), (*want[:-1], outputs)):
        axes = "(batch, time, " if len(want) == 3 else "(batch, "
        raise ValueError(
            "`BurstPropNetwork` learns from one target in [0, 1] for each "
            f"output, so y must have the shape {axes}{outputs}). Make "
            "classes one-hot: `keras.utils.to_categorical(y)`. "
            f"Received: y of shape {have if have is None else tuple(have)}, "
            f"for {want[:-1]}"
        )


def _same(have: tuple[Any, ...], want: tuple[Any, ...]) -> bool:
    """Whether shapes agree, as far as they are known."""
    return len(have) == len(want) and all(
        None in pair or pair[0] == pair[1]
        for pair in zip(have, want, strict=True)
    )
