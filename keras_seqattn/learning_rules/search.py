"""One search of learning rates, the same for every rule."""

import dataclasses
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from keras_seqattn._checks import check_non_negative_integer
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._training.seeded_model import EndedInNaN

# The first seed of a search: none that a user's training has.
FIRST_SEED = 1_000_000


class Rates(NamedTuple):
    """Learning rates in the units of a `Method` or `SequenceMethod`.

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

    @property
    def seeds(self) -> range:
        """Of the first training, and of those that repeat the best."""
        return range(FIRST_SEED, FIRST_SEED + 1 + self.repeats)


@dataclasses.dataclass(frozen=True)
class Trial:
    """What one pair of learning rates is worth.

    Args:
        rates: The `Rates`, in the method's units.
        errors: Error on what no training saw, one a seed: several of the
            finalists, one of the others.
        mses: Mean squared error on it, one a seed.
        histories: Keras' histories.
    """

    rates: Rates
    errors: tuple[float, ...]
    mses: tuple[float, ...]
    histories: tuple[dict[str, list[float]], ...]

    @property
    def score(self) -> tuple[float, float]:
        """Mean error, and to tell equals apart the mean squared error."""
        return float(np.mean(self.errors)), float(np.mean(self.mses))

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers, for JSON."""
        return {
            "rates": self.rates._asdict(),
            "errors": list(self.errors),
            # A training that ended in NaN has none.
            "mses": [mse if np.isfinite(mse) else None for mse in self.mses],
            "histories": list(self.histories),
        }


class Run(NamedTuple):
    """What one training of a search came to.

    Attributes:
        error: Of which the search wants the lowest.
        mse: Mean squared error, to tell equals apart.
        history: Keras' history.
    """

    error: float
    mse: float
    history: dict[str, list[float]]


def search_rates(
    name: str,
    search: RateSearch,
    train: Callable[[Rates, int], Run],
    worst: float,
    verbose: int,
) -> tuple[list[Trial], Trial]:
    """Try all rates once, then the best ones from other seeds.

    Args:
        name: Of the method, for the progress bar and for errors.
        search: A `RateSearch`.
        train: Function of rates and a seed, which trains and scores. Where it
            raises `EndedInNaN`, rates too high, the trial is lost.
        worst: Error of a lost trial.
        verbose: 0 is silent, 1 shows a progress bar.

    Returns:
        All trials, by their first training the best first, and the finalist
        with the best mean.

    Raises:
        EndedInNaN: All rates are lost.
    """
    first, *others = search.seeds
    total = len(search) + len(others) * min(search.finalists, len(search))
    # Keras would show the mean of all.
    bar = keras.utils.Progbar(
        total,
        unit_name="training",
        verbose=verbose,
        stateful_metrics=["least error"],
    )
    if verbose:
        print(f"{name}, learning rates", flush=True)

    errors: list[float] = []

    def run(rates: Rates, seed: int) -> Run:
        try:
            found = train(rates, seed)
        except EndedInNaN:
            found = Run(worst, np.inf, {})
        errors.append(found.error)
        bar.add(1, [("least error", min(errors))])
        return found

    runs = [(rates, [run(rates, first)]) for rates in search]
    runs.sort(key=lambda tried: tried[1][0][:2])
    for rates, found in runs[: search.finalists]:
        found += [run(rates, seed) for seed in others]
    trials = [Trial(rates, *zip(*found, strict=True)) for rates, found in runs]
    # Of the finalists: the others have one training to speak for them.
    best = min(trials[: search.finalists], key=lambda trial: trial.score)
    if not np.isfinite(best.mses).any():
        raise EndedInNaN(
            f"With every rate that was tried, {name} ended in NaN: lower the "
            f"range. Received: search={search}"
        )
    return trials, best
