"""What a search is: everything that its scores depend on."""

import dataclasses
import importlib
from collections.abc import Sequence
from typing import Any

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_non_negative_integer
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_seeds
from tuning.early_backend import BACKENDS

STEMS = (
    "neural_decoder",
    "activity_classifier",
    "memory_network",
    "burst_prop_network",
)
TUNERS = ("random", "bayesian", "hyperband", "grid")
DEFAULTS_SPACE = "defaults"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that the scores of a search depend on.

    Plain values, so that it can be sent to any process.

    Args:
        stem: What is tuned: name of a module here, or with dots that of any
            module whose `HYPERMODEL` is a `StemHyperModel`.
        directory: Where the search keeps all that it writes.
        backend: `"tensorflow"`, `"jax"` or `"torch"`.
        data: Path of the data, or name of a generated task. Default: the
            stem's, which need no download.
        space: Name of a search space of the stem.
        tuner: `"random"`, `"bayesian"`, `"hyperband"` or `"grid"`.
        max_trials: Positive integer. A search may be resumed with more.
        epochs: The most epochs of a training. Default: the space's.
        seed: Integer, not negative: which settings are tried, in which order.
        seeds: Integers, not negative: one training of each trial a seed. A
            trial's score is their mean.

    Raises:
        ValueError: A setting out of its range.
    """

    stem: str
    directory: str
    backend: str
    data: str | None = None
    space: str = "modern"
    tuner: str = "random"
    max_trials: int = 20
    epochs: int | None = None
    seed: int = 0
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        if "." not in self.stem:
            check_choice("stem", self.stem, STEMS)
        check_choice("backend", self.backend, BACKENDS)
        check_choice("tuner", self.tuner, TUNERS)
        check_choice("space", self.space, stem_class(self.stem).spaces)
        check_positive_integer("max_trials", self.max_trials)
        if self.epochs is not None:
            check_positive_integer("epochs", self.epochs)
        check_non_negative_integer("seed", self.seed)
        for seed in check_seeds(self.seeds):
            check_non_negative_integer("seeds", seed)
        object.__setattr__(self, "seeds", tuple(self.seeds))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, ready for JSON, without the directory.

        A directory may be moved, and its search resumed.
        """
        settings = dataclasses.asdict(self)
        del settings["directory"]
        return {**settings, "seeds": list(self.seeds)}


def other_seeds(seeds: Sequence[int]) -> tuple[int, int, int]:
    """Return three seeds that had no say in a search of these."""
    first = max(seeds) + 1
    return first, first + 1, first + 2


def stem_module(stem: str) -> str:
    """Return the full name of a stem's module."""
    return stem if "." in stem else f"tuning.{stem}"


def stem_class(stem: str) -> Any:
    """Return the hypermodel's class of a stem."""
    return importlib.import_module(stem_module(stem)).HYPERMODEL
