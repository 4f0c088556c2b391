"""The command line that all stems share."""

import argparse
import dataclasses
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import keras

from keras_seqattn._checks import check_positive_integer
from keras_seqattn._training.tables import print_tables
from tuning.directory import SearchError
from tuning.directory import read_settings
from tuning.early_backend import BACKENDS
from tuning.early_backend import default_directory
from tuning.retrain import retrain
from tuning.search import EXECUTORS
from tuning.search import search
from tuning.settings import TUNERS
from tuning.settings import Settings
from tuning.settings import other_seeds
from tuning.settings import stem_class
from tuning.settings import stem_module

RAY_OPTIONS = {
    "address",
    "workers",
    "cpus_per_trial",
    "gpus_per_trial",
    "retries",
}


def make_parser(stem: str) -> argparse.ArgumentParser:
    """Return the parser of a stem. What is not given is not set."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {stem_module(stem)}",
        description=f"Search for better settings of the {stem}. Without "
        "arguments: 20 random trials on data that need no download.",
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("--data", help="a path or the name of a task, as in the example")
    add("--space", choices=sorted(stem_class(stem).spaces))
    add("--tuner", choices=TUNERS, help="default: random")
    add("--max-trials", type=int, help="default: 20")
    add("--executions-per-trial", type=int, help="seeds 0, 1, ... a trial")
    add("--seeds", type=int, nargs="+", help="one training each; default: 0")
    add("--seed", type=int, help="which settings are tried; default: 0")
    add("--epochs", type=int, help="the most; default: the space's")
    add(
        "--directory",
        default=default_directory(stem),
        help="default: %(default)s",
    )
    add("--backend", choices=BACKENDS, help="default: Keras' own choice")
    add("--executor", choices=EXECUTORS, default="local")
    add("--resume", action="store_true", default=False)
    add("--verbose", type=int, choices=(0, 1), default=1)
    ray = parser.add_argument_group("with --executor ray")
    ray.add_argument(
        "--address", help="of a cluster; default: processes of this machine"
    )
    ray.add_argument("--workers", type=int, help="the most trials at a time")
    ray.add_argument("--cpus-per-trial", type=int, help="default: 1")
    ray.add_argument("--gpus-per-trial", type=float, help="default: 0")
    ray.add_argument(
        "--retries",
        type=int,
        help="how often a trial whose machine died runs again; default: 3",
    )
    again = parser.add_argument_group(
        "after a search, from other seeds (--seeds)"
    )
    again.add_argument(
        "--retrain",
        type=int,
        nargs="?",
        const=1,
        metavar="N",
        help="train the N-th best trial again, beside the defaults; 0: the "
        "defaults alone, which needs no search",
    )
    again.add_argument(
        "--folds",
        type=int,
        nargs="+",
        help="parts of the data that validate, one after another; default: "
        "the search's, 0",
    )
    return parser


def read_arguments(
    stem: str, arguments: Sequence[str]
) -> tuple[Settings, argparse.Namespace]:
    """Return the settings of a command line, and all of it.

    What is not given is taken from the search in the directory, if one is to
    be resumed or used.
    """
    parser = make_parser(stem)
    found = parser.parse_args(arguments)
    given: dict[str, Any] = vars(found)
    again = "retrain" in given
    if "folds" in given and not again:
        parser.error("--folds is for --retrain")
    if found.executor != "ray" and RAY_OPTIONS & given.keys():
        parser.error(
            "--address, --workers, --cpus-per-trial, --gpus-per-trial and "
            "--retries are for --executor ray"
        )
    there = read_settings(found.directory) if found.resume or again else None
    if there is None and again and found.retrain:
        raise SearchError(
            f"There is no search in {found.directory!r} to retrain from. "
            "Name its --directory."
        )
    if there is not None and there.get("stem") != stem:
        raise SearchError(
            f"The search in {found.directory!r} is one of {there.get('stem')}."
        )
    settings = {
        "stem": stem,
        "backend": keras.backend.backend(),
        **(there or {}),
        "directory": found.directory,
    }
    if again:
        _check_retraining(found.retrain, there, given)
        settings["seeds"] = other_seeds(settings.get("seeds", (0,)))
    names = {field.name for field in dataclasses.fields(Settings)}
    settings |= {name: given[name] for name in names & given.keys()}
    executions = given.get("executions_per_trial")
    if executions is not None:
        seeds = given.get(
            "seeds",
            range(check_positive_integer("executions_per_trial", executions)),
        )
        if len(seeds) != executions:
            parser.error(
                f"--executions-per-trial {executions} needs as many --seeds. "
                f"Received: {len(seeds)}"
            )
        settings["seeds"] = seeds
    settings["seeds"] = tuple(settings.get("seeds", (0,)))
    if settings["backend"] != keras.backend.backend():
        raise SearchError(
            f"Keras runs on {keras.backend.backend()}, and --backend, or the "
            f"search in {found.directory!r}, is of {settings['backend']}. Run "
            f"`python -m {stem_module(stem)}`, or set KERAS_BACKEND."
        )
    return Settings(**settings), found


def _check_retraining(
    rank: int, there: dict[str, Any] | None, given: dict[str, Any]
) -> None:
    """Refuse to train a trial again as it was not."""
    changed = sorted(
        name
        for name, value in (there or {}).items()
        if rank
        and name not in ("seeds", "data")
        and given.get(name, value) != value
    )
    if changed:
        raise SearchError(
            "A trial is trained again as the search trained it. There, "
            + ", ".join(f"{name} is {there[name]!r}" for name in changed)
            + ". Leave them away."
        )


def main(stem: str, arguments: Sequence[str] | None = None) -> None:
    """Run the command line of a stem.

    Args:
        stem: Name of the module.
        arguments: Without the program. Default: the process' own.
    """
    try:
        settings, found = read_arguments(
            stem, sys.argv[1:] if arguments is None else arguments
        )
    except (SearchError, ValueError) as error:
        sys.exit(f"error: {error}")
    try:
        if "retrain" in found:
            print_tables(
                retrain(
                    settings,
                    found.retrain,
                    folds=getattr(found, "folds", (0,)),
                    verbose=found.verbose,
                )
            )
            return
        search(
            settings,
            found.executor,
            resume=found.resume,
            verbose=found.verbose,
            **{
                name: vars(found)[name]
                for name in RAY_OPTIONS & vars(found).keys()
            },
        )
    except (SearchError, FileNotFoundError, ImportError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(
            "\nStopped. All finished trials are safe; go on with --resume."
        )
    directory = pathlib.Path(settings.directory)
    print()
    print_tables((directory / "results.md").read_text())
    print(f"\nIn {directory}/:")
    for name, what in (
        ("results.md", "this table; results.csv is the same for programs"),
        ("parameters.png", "the score against each parameter"),
        ("best_model.keras", "keras.saving.load_model(...)"),
        ("tensorboard/", "tensorboard --logdir ... has an HParams page"),
    ):
        print(f"  {name:<20}{what}")
