"""What a network that learns by bursts needs of its data."""

from typing import Any


def check_sample_weight(sample_weight: Any, rank: int) -> None:
    """Raise if there are weights, but not of rank `rank`, one a target."""
    if sample_weight is None:
        return
    shape = tuple(sample_weight.shape)
    if len(shape) not in (rank, rank + 1) or shape[rank:] not in ((), (1,)):
        what = "example, of shape (batch,)", "step, of shape (batch, time)"
        raise ValueError(
            f"`sample_weight` must hold one number for each {what[rank - 1]}. "
            f"Received: sample_weight.shape={shape}"
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
    if have is None or len(have) != len(want) or have[-1] != outputs:
        axes = "(batch, time, " if len(want) == 3 else "(batch, "
        raise ValueError(
            "`BurstPropNetwork` learns from one target in [0, 1] for each "
            f"output, so y must have the shape {axes}{outputs}). Make "
            "classes one-hot: `keras.utils.to_categorical(y)`. "
            f"Received: y of shape {have if have is None else tuple(have)}"
        )
