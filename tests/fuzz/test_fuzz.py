import pytest

from tests.fuzz.doors import DOORS
from tests.fuzz.harness import FILES
from tests.fuzz.harness import Tally
from tests.fuzz.harness import try_door
from tests.fuzz.harness import try_file

BUDGET = 60


@pytest.mark.parametrize("name", DOORS)
def test_wrong_input_is_told_or_right(name):
    tally = Tally()
    for seed in range(BUDGET):
        try_door(name, seed, tally)
    assert not tally.faults, "\n".join(tally.faults)
    assert tally.clear > BUDGET // 5


@pytest.mark.parametrize("kind", FILES)
def test_damaged_files_are_told_or_right(kind):
    tally = Tally()
    for seed in range(BUDGET):
        try_file(kind, seed, tally)
    assert not tally.faults, "\n".join(tally.faults)
    assert tally.clear > BUDGET // 5
