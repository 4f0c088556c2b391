"""Tables in markdown."""

from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a markdown table."""
    return "\n".join(
        [
            "| " + " | ".join(head) + " |",
            "|" + "---|" * len(head),
            *("| " + " | ".join(row) + " |" for row in rows),
        ]
    )


def mean_and_deviation(values: Sequence[float]) -> str:
    """Return "mean ± sample deviation", or the value if there is one."""
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
