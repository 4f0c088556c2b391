"""One trial: the same settings trained from each seed."""

import dataclasses
import pathlib
import tempfile
import time
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np

from tuning.directory import SearchError
from tuning.hypermodel import StemHyperModel


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a trial came to. It can be sent to any process.

    Args:
        executions: One dictionary a seed: `seed`, `seconds` with the
            compilation, `metrics` as `StemHyperModel.fit` returns them,
            `history` by epoch.
        model: The bytes of a `.keras` file: the best execution's model.
        parameters: Number of parameters.
    """

    executions: tuple[dict[str, Any], ...]
    model: bytes
    parameters: int

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics' means over the seeds."""
        return {
            name: float(np.mean([x["metrics"][name] for x in self.executions]))
            for name in self.executions[0]["metrics"]
        }

    def to_dict(self) -> dict[str, Any]:
        """Return all but the model, ready for JSON."""
        return {
            "parameters": self.parameters,
            "executions": list(self.executions),
        }


def run_executions(
    hypermodel: StemHyperModel,
    values: Mapping[str, Any],
    seeds: Sequence[int],
    *,
    title: str = "",
    verbose: int = 1,
) -> Outcome:
    """Train the same settings once a seed.

    What comes out depends on the arguments alone, not on what the process has
    trained before.

    Args:
        hypermodel: A `StemHyperModel`.
        values: The parameters' values by name; those that are missing have
            their defaults.
        seeds: Integers >= 0.
        title: Above the progress bars.
        verbose: 0 is silent, 1 shows a progress bar over epochs.

    Returns:
        An `Outcome`.

    Raises:
        keras_tuner.errors.FailedTrialError: A training ended in NaN.
    """
    objective = hypermodel.objective
    executions: list[dict[str, Any]] = []
    best, saved, parameters = None, b"", 0
    for seed in seeds:
        start = time.monotonic()
        keras.backend.clear_session(free_memory=True)
        keras.utils.set_random_seed(seed)
        hp = keras_tuner.HyperParameters()
        hp.values = dict(values)
        model = hypermodel.build(hp)
        metrics = hypermodel.fit(
            hp, model, seed=seed, title=f"{title}seed {seed}", verbose=verbose
        )
        history = {
            name: [float(value) for value in epochs]
            for name, epochs in model.history.history.items()
        }
        executions.append(
            {
                "seed": seed,
                "seconds": time.monotonic() - start,
                "metrics": metrics,
                "history": history,
            }
        )
        score = metrics[objective.name]
        if best is None or objective.better_than(score, best):
            best = score
            parameters = model.count_params()
            # Without the optimizer. (On JAX, its averages are gone after a
            # `predict` between epochs: SwapEMAWeights shares their buffers.)
            configuration = hypermodel.configuration(hp)
            trained = hypermodel.build_model(configuration)
            trained.set_weights(model.get_weights())
            saved = _to_bytes(hypermodel.deploy(trained, configuration))
    return Outcome(tuple(executions), saved, parameters)


def _to_bytes(model: keras.Model) -> bytes:
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.keras"
            model.save(path)
            return path.read_bytes()
    except OSError as error:
        raise SearchError(
            f"Cannot write a model to {tempfile.gettempdir()!r}: "
            f"{error.strerror or error}. Make room there, or set TMPDIR."
        ) from error
