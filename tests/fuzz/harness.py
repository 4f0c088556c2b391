"""Give doors wrong input: a clear error, or a result that is defined."""

import dataclasses
import pathlib
import warnings
from typing import Any

import numpy as np

from keras_seqattn import decoding
from tests.fuzz import wrong
from tests.fuzz.doors import DOORS
from tests.fuzz.doors import FOLDER
from tests.fuzz.doors import OPEN
from tests.fuzz.doors import RECORDING
from tests.fuzz.doors import mat
from tests.fuzz.doors import not_finite

CLEAR = (ValueError, OSError, ImportError)
FILES = (".npz", ".mat")


@dataclasses.dataclass
class Tally:
    """What became of the inputs of a door."""

    tried: int = 0
    clear: int = 0
    defined: int = 0
    faults: list[str] = dataclasses.field(default_factory=list)


def try_one(name: str, seed: int, tally: Tally) -> None:
    """Try a door, or a kind of file."""
    (_try_file if name in FILES else _try_door)(name, seed, tally)


def _try_door(name: str, seed: int, tally: Tally) -> None:
    """Give a door one wrong input, or two."""
    rng = np.random.default_rng([seed, *name.encode()])
    door, right = DOORS[name]
    given = dict(right)
    keys = rng.permutation(list(given))[: rng.integers(1, 3)]
    for key in keys:
        given[key] = wrong.other(rng, given[key])
    _count(name, seed, tally, lambda: door(**given), given)


def _try_file(kind: str, seed: int, tally: Tally) -> None:
    """Damage a file, and read it."""
    rng = np.random.default_rng([seed, *kind.encode()])
    path = FOLDER / f"damaged{kind}"
    path.write_bytes(wrong.bytes_of(rng, _whole(kind)))
    fields = {"spikes": "c", "movement": "v", "bin_width": 0.1}
    options = {"fields": fields} if kind == ".mat" else {}
    _count(
        kind,
        seed,
        tally,
        lambda: decoding.load_recording(path, **options),
        path.name,
    )


def _whole(kind: str) -> bytes:
    path = pathlib.Path(FOLDER / f"whole{kind}")
    if not path.exists():
        if kind == ".npz":
            given = {"spikes", "movement", "segment", "times", "condition"}
            np.savez(path, **{name: RECORDING[name] for name in given})
        else:
            fields = {"spikes": "c", "movement": "v", "bin_width": 0.1}
            mat(fields, c=RECORDING["spikes"], v=RECORDING["movement"])
            (FOLDER / "door.mat").rename(path)
    return path.read_bytes()


def _count(name: str, seed: int, tally: Tally, call: Any, given: Any) -> None:
    tally.tried += 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = call()
    except CLEAR as error:
        if len(str(error)) < 20:
            tally.faults.append(
                f"{name} {seed}: unclear {error!r} {given!r:.300}"
            )
        tally.clear += 1
    except Exception as error:
        tally.faults.append(
            f"{name} {seed}: {type(error).__name__}: {str(error)[:200]} "
            f"of {given!r:.300}"
        )
    else:
        tally.defined += 1
        if name not in OPEN and not_finite(found):
            tally.faults.append(f"{name} {seed}: not finite, of {given!r:.300}")
