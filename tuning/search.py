"""A search: its tuner, on this machine or on many."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import keras_tuner

from tuning import interrupt
from tuning.directory import SearchError
from tuning.directory import claimed
from tuning.results import Results
from tuning.settings import Settings
from tuning.tuner import SearchTuner


def make_tuner(settings: Settings, verbose: int = 1) -> SearchTuner:
    """Return the tuner of a search, the same in any process.

    It goes on with the search that is in the settings' directory, which must
    have been claimed (`search` does).

    Args:
        settings: A `Settings`.
        verbose: 0 is silent, 1 shows progress.
    """
    tuner = SearchTuner(settings, verbose)
    Results(settings, tuner.oracle, tuner.hypermodel, verbose).follow()
    return tuner


def _run_here(tuner: SearchTuner) -> None:
    tuner.search()


def _run_on_ray(tuner: SearchTuner, **options: Any) -> None:
    from tuning.ray_executor import run  # Ray is an extra of its own.

    run(tuner, **options)


EXECUTORS: dict[str, Callable[..., None]] = {
    "local": _run_here,
    "ray": _run_on_ray,
}


def _check_packages(settings: Settings) -> None:
    # Now, and not after the first trial.
    needed = ["tensorboard", "matplotlib"]
    if settings.tuner == "bayesian":
        needed += ["sklearn", "scipy"]
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise SearchError(
            f"A search needs {', '.join(missing)}: "
            "pip install keras_seqattn[tuning]"
        )


def search(
    settings: Settings,
    executor: str = "local",
    *,
    resume: bool = False,
    verbose: int = 1,
    **options: Any,
) -> SearchTuner:
    """Run a search to its end.

    Args:
        settings: A `Settings`.
        executor: Key of `EXECUTORS`: where trials run.
        resume: Whether to go on with the search that is in the directory.
        verbose: 0 is silent, 1 shows progress.
        **options: Of the executor, as `ray_executor.run` has them.

    Returns:
        The tuner, with all trials.

    Raises:
        SearchError: The directory cannot be used; see `claimed`.
    """
    _check_packages(settings)
    with claimed(settings, resume) as keep_settings, interrupt.remembered():
        tuner = make_tuner(settings, verbose)
        keep_settings()
        tuner.save()
        try:
            EXECUTORS[executor](tuner, **options)
        except (KeyboardInterrupt, keras_tuner.errors.FatalError):
            tuner.oracle.forget_starts()
            raise
        Results(settings, tuner.oracle, tuner.hypermodel, verbose).finish()
    return tuner
