"""The table of exports in docs/ is what the code does."""

import re

import keras
import pytest

import keras_seqattn as ks
from benchmarks import export_table
from keras_seqattn.memory import RECIPES

PAGE = export_table.PAGE.read_text()
TITLES = [
    f"{format}, {backend}"
    for format in export_table.FORMATS.values()
    for backend in export_table.BACKENDS.values()
]


@pytest.fixture(scope="module")
def rows():
    text = PAGE.split(export_table.BEGIN)[1].split(export_table.END)[0]
    head, _, *lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    assert head == ["model", *TITLES]
    return {
        name: dict(zip(TITLES, cells, strict=True)) for name, *cells in lines
    }


def test_all_models_are_in_it(rows):
    models = export_table.models()
    assert list(rows) == list(models)
    text = " ".join(models)
    builders = {
        "build_neural_decoder": "neural decoder",
        "build_activity_classifier": "activity classifier",
        "build_memory_network": "memory network",
        "BurstPropNetwork": "burst network",
    }
    public = {x for x in vars(ks.models) if x.startswith("build_")}
    assert public | {"BurstPropNetwork"} == set(builders)
    assert all(name in text for name in (*builders.values(), *RECIPES))


def test_each_is_a_small_difference_or_has_a_reason(rows):
    for cells in rows.values():
        for cell in cells.values():
            if match := re.fullmatch(r"no \((\d+)\)", cell):
                assert f"\n{match[1]}. " in PAGE
            else:
                assert 0 <= float(cell) <= 1e-4


def test_what_the_table_says_of_onnx_is_so(rows, tmp_path):
    """For one model; other formats and models are in tests/export."""
    name = "burst network, temporal"
    model = export_table.models()[name]()
    backend = export_table.BACKENDS[keras.backend.backend()]
    said = rows[name][f"ONNX, {backend}"]
    try:
        export_table.export(model, "onnx", tmp_path / "model.onnx")
        assert not said.startswith("no")
    except (RuntimeError, ValueError):
        assert said.startswith("no")
