"""What the site is made of: docstrings and examples."""

import importlib.util
import inspect
import pathlib

import pytest

import keras_seqattn as ks

ROOT = pathlib.Path(__file__).parents[1]


def load(name):
    path = ROOT / f"docs/_ext/{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = load("reference")
tutorials = load("tutorials")


def test_every_room_has_a_page():
    rooms = {name for name in dir(ks) if not name.startswith("_")}
    assert set(reference.ROOMS) == rooms


@pytest.mark.parametrize("room", reference.ROOMS)
def test_every_public_name_is_in_the_reference(room):
    module = getattr(ks, room)
    public = {
        name
        for name, item in vars(module).items()
        if not name.startswith("_")
        and name != "TYPE_CHECKING"
        and not inspect.ismodule(item)
        and getattr(item, "__module__", "keras_seqattn").startswith("keras_s")
        # Of a room that is one file, its functions.
        and (inspect.isfunction(item) or hasattr(module, "__path__"))
    }
    found = [
        item.name.removeprefix(f"{room}.") for item in reference.items(room)
    ]
    assert len(found) == len(set(found))
    found = {name for name in found if "." not in name}
    assert public <= found
    assert all(hasattr(module, name) for name in found)


def test_a_docstring_becomes_a_page():
    docstring = """One line on `select_timesteps`.

    Args:
        x: An array, for `ks.layers.LARNN`
            or another.
        a, b:
            Two numbers.

    Returns:
        A number.

    Example:
    ```python
    print(1)  # Args:
    ```
    """
    known = reference.known_names(
        {room: reference.items(room) for room in ("layers", "decoding")}
    )
    text = reference.markdown(inspect.cleandoc(docstring), known, "f")
    select = "keras_seqattn.decoding.select_timesteps"
    assert text.startswith(
        f"One line on {{py:obj}}`select_timesteps <{select}>`.\n"
    )
    assert (
        "`x`\n: An array, for {py:obj}`ks.layers.LARNN "
        "<keras_seqattn.layers.LARNN>`\n  or another.\n\n`a`, `b`\n: Two "
        "numbers.\n"
    ) in text
    assert text.count("{rubric}") == 3
    assert text.endswith("```python\nprint(1)  # Args:\n```\n")


def test_signatures_are_those_of_the_code():
    (item,) = (
        item
        for item in reference.items("decoding")
        if item.name == "decoding.select_timesteps"
    )
    names = inspect.signature(ks.decoding.select_timesteps).parameters
    written = reference.signature(item.node)
    assert [name for name in names if f"{name}:" in written] == list(names)
    assert "threshold: float=0.9" in written


def test_every_example_is_a_tutorial():
    stems = {path.stem for path in ROOT.glob("examples/*.py")}
    assert set(tutorials.EXAMPLES) == stems
    for stem in stems:
        text = tutorials.page(stem)
        assert text.startswith("# ")
        assert (ROOT / f"docs/tutorials/{stem}/output.txt").stat().st_size > 50
        # The example is all there, but for the strings that are text.
        lines = (ROOT / f"examples/{stem}.py").read_text().splitlines()
        code = [x for x in lines if "import " in x or x.startswith("def ")]
        assert all(line in text for line in code)


# A column of each figure's table, and one that is drawn.
FIRST_COLUMNS = {
    "recall": "all in the window",
    "bursts": "5 hidden",
    "gains": "modulated gains",
    "pooling": "validation R2",
    "proposals": "trainings, mean",
}
COLUMNS = {"recall": 4, "bursts": 4, "gains": 1, "pooling": 4, "proposals": 1}


def test_a_figure_shows_what_its_table_says():
    figures = load("comparison_figures")
    assert figures.numbers("66.57 ± 11.53") == (66.57, 11.53)
    assert figures.numbers("-0.5") == (-0.5, 0.0)
    pyplot = pytest.importorskip("matplotlib.pyplot")
    page = figures.PAGE.read_text()
    for name, (draw, _) in figures.FIGURES.items():
        assert f"images/which_{name}.png" in page
        figure, ax = pyplot.subplots()
        draw(ax)
        drawn = {
            round(float(value), 6)
            for line in ax.lines
            for values in (line.get_xdata(), line.get_ydata())
            for value in values
        }
        pyplot.close(figure)
        rows = figures.table(FIRST_COLUMNS[name])
        means = [figures.numbers(row[COLUMNS[name]])[0] for row in rows[-4:]]
        assert drawn.issuperset(means), name
