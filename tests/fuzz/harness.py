"""Give doors wrong input: a clear error, or a result that is defined."""

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.fuzz import wrong
from tests.fuzz.doors import DOORS
from tests.fuzz.doors import FOLDER
from tests.fuzz.doors import OPEN
from tests.fuzz.doors import not_finite
from tests.fuzz.files import FILES
from tests.fuzz.files import NEVER
from tests.fuzz.histories import HISTORIES
from tests.fuzz.parts import Impossible
from tests.fuzz.spellings import SPELLINGS
from tests.fuzz.spellings import first
from tuning.directory import SearchError

CLEAR = (ValueError, OSError, ImportError, SearchError)
NAMES = [*DOORS, *FILES, *HISTORIES, *SPELLINGS]


@dataclasses.dataclass
class Tally:
    """What became of the inputs of a door."""

    tried: int = 0
    clear: int = 0
    defined: int = 0
    faults: list[str] = dataclasses.field(default_factory=list)


def try_one(name: str, seed: int, tally: Tally) -> None:
    """Try a door, a kind of file, or a history."""
    rng = np.random.default_rng([seed, *name.encode()])

    def ask(call: Callable[..., Any], *given: Any) -> tuple[bool, Any]:
        return _ask(f"{name} {seed}", tally, name in OPEN, call, given)

    try:
        if name in DOORS:
            _try_door(name, rng, ask)
        elif name in FILES:
            _try_file(name, rng, ask)
        elif name in HISTORIES:
            HISTORIES[name](rng, ask)
        else:
            _try_spelling(name, rng, ask)
    except AssertionError as error:
        tally.faults.append(f"{name} {seed}: {error}")


def _try_door(name: str, rng: np.random.Generator, ask: Any) -> None:
    """Give a door one wrong input, or two."""
    door, right = DOORS[name]
    given = dict(right)
    keys = rng.permutation(list(given))[: rng.integers(1, 3)]
    for key in keys:
        given[key] = wrong.other(rng, given[key])
    ask(lambda given: door(**given), given)


def _try_file(name: str, rng: np.random.Generator, ask: Any) -> None:
    """Damage a file, and read it."""
    ending, whole, damage, read = FILES[name]
    path = FOLDER / f"damaged{ending}"
    path.write_bytes(damage(rng, whole()))
    refused, _ = ask(read, path)
    assert refused or name not in NEVER, "read without a word"


def _try_spelling(name: str, rng: np.random.Generator, ask: Any) -> None:
    refused, found = ask(SPELLINGS[name], rng)
    if not refused:
        for one, other in zip(found, first(name), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def _ask(
    what: str, tally: Tally, may_be_open: bool, call: Any, given: Any
) -> tuple[bool, Any]:
    """Call, count, and return whether it was refused, and the result."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = call(*given)
    except Impossible:
        return True, None
    except CLEAR as error:
        # Another spelling is a right one.
        if len(str(error)) < 20 or what.rsplit(" ", 1)[0] in SPELLINGS:
            tally.faults.append(f"{what}: unclear {error!r} {given!r:.300}")
        tally.clear += 1
    except Exception as error:
        tally.faults.append(
            f"{what}: {type(error).__name__}: {str(error)[:200]} "
            f"of {given!r:.300}"
        )
    else:
        tally.tried += 1
        tally.defined += 1
        if not may_be_open and not_finite(found):
            tally.faults.append(f"{what}: not finite, of {given!r:.300}")
        return False, found
    tally.tried += 1
    return True, None
