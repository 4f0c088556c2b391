import pytest

from tests.fuzz.doors import DOORS
from tests.fuzz.doors import FOLDER
from tests.fuzz.files import FILES
from tests.fuzz.harness import HISTORIES
from tests.fuzz.harness import NAMES
from tests.fuzz.harness import SPELLINGS
from tests.fuzz.harness import Tally
from tests.fuzz.harness import try_one

BUDGET = 60


@pytest.mark.parametrize("name", NAMES)
def test_wrong_input_is_told_or_right(name):
    tally = Tally()
    # A history is many calls.
    for seed in range(BUDGET // 10 if name in HISTORIES else BUDGET):
        try_one(name, seed, tally)
    assert not tally.faults, "\n".join(tally.faults)
    assert tally.clear > tally.tried // 5 or name in SPELLINGS


def test_right_input_is_taken():
    for door, right in DOORS.values():
        door(**right)
    for ending, whole, _, read in FILES.values():
        path = FOLDER / f"whole{ending}"
        path.write_bytes(whole())
        read(path)
