"""The learning rates that a search tries."""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_seqattn._checks import check_non_negative_integer
from keras_seqattn._checks import check_positive_integer

# The first seed of a search: none that a user's training has.
FIRST_SEED = 1_000_000


class Rates(NamedTuple):
    """Learning rates in the units of a `Method`.

    Attributes:
        output: That of the output layer.
        ratio: How much faster each layer learns than the one above.
    """

    output: float
    ratio: float

    def times(self, output: float, ratio: float) -> "Rates":
        """Return them in units of which these are so many."""
        return Rates(self.output * output, self.ratio * ratio)


@dataclasses.dataclass(frozen=True)
class RateSearch:
    """A search of two numbers that is the same for every method.

    A Latin hypercube in the logarithms: each range is cut into as many equal
    parts as there are trials, and each part is tried once. One training says
    little of rates with which one in five gets stuck: the best are trained
    again from other seeds, and the best mean wins.

    Args:
        trials: Positive integer, pairs of rates, a training each.
        finalists: Positive integer, how many of them are trained again.
        repeats: Integer, not negative, how often.
        output: Range of the output layer's rate.
        ratio: Range of the ratio of each layer's rate to that above.
        seed: Integer, not negative, of the draw.

    Raises:
        ValueError: A range that is not two numbers above 0 in order.

    Example:
    ```python
    from keras_seqattn.learning_rules import RateSearch

    tried = list(RateSearch(trials=3))
    print([f"{rates.output:.4f}" for rates in tried])
    # ['0.0115', '0.0005', '0.0081']
    ```
    """

    trials: int = 20
    finalists: int = 5
    repeats: int = 2
    output: tuple[float, float] = (5e-4, 5e-2)
    ratio: tuple[float, float] = (1.0, 64.0)
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive_integer("trials", self.trials)
        check_positive_integer("finalists", self.finalists)
        check_non_negative_integer("repeats", self.repeats)
        check_non_negative_integer("seed", self.seed)
        for name in ("output", "ratio"):
            low, high = getattr(self, name)
            if not 0 < low < high < np.inf:
                raise ValueError(
                    f"`{name}` must be two numbers above 0, the smaller "
                    f"first. Received: {name}={(low, high)}"
                )

    def __iter__(self) -> Iterator[Rates]:
        random = np.random.default_rng(self.seed)
        drawn = []
        for low, high in (self.output, self.ratio):
            part = random.permutation(self.trials)
            share = (part + random.uniform(size=self.trials)) / self.trials
            drawn.append((low * (high / low) ** share).tolist())
        return map(Rates, *drawn)

    def __len__(self) -> int:
        return self.trials
