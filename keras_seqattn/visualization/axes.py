"""What all figures share: matplotlib itself, axes, and reference levels."""

import math
from collections.abc import Mapping
from typing import Any

try:
    from matplotlib import pyplot as pyplot
    from matplotlib.figure import Figure as Figure
except ImportError as error:
    raise ImportError(
        "The figures need matplotlib: pip install keras_seqattn[plot]"
    ) from error

_LEVEL_STYLES = (":", "--", "-.", (0, (8, 2)), (0, (1, 4)))


def given_or_new(ax: Any) -> Any:
    """Return the given axes, or those of a new figure for `None`."""
    return pyplot.subplots(layout="constrained")[1] if ax is None else ax


def draw_levels(ax: Any, levels: Mapping[str, float] | None) -> None:
    """Draw horizontal lines at the values, with their names in the legend."""
    for index, (name, value) in enumerate((levels or {}).items()):
        try:
            level = float(value)
        except (TypeError, ValueError):
            level = math.nan
        if not math.isfinite(level):
            raise ValueError(
                "`levels` must map names to finite numbers. "
                f"Received: levels={dict(levels or {})}"
            )
        ax.axhline(
            level,
            color="k",
            lw=0.8,
            ls=_LEVEL_STYLES[index % len(_LEVEL_STYLES)],
            label=f"{name}: {level:.4g}",
        )
