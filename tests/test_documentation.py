"""Every Python example in the README, in docs and in a docstring runs.

A comment after `print(...)`, or on the line below it, is what it prints.
"""

import ast
import contextlib
import io
import pathlib
import re

import pytest

from tests.activity import phone_files
from tests.datasets.matlab_sessions import poisson_session
from tests.datasets.opportunity_files import make_all
from tests.datasets.opportunity_files import write_opportunity
from tests.datasets.opportunity_files import zip_files
from tests.datasets.original_files import smartwatch_recordings
from tests.datasets.original_files import uci_har_arrays
from tests.datasets.original_files import write_smartwatch_har
from tests.datasets.original_files import write_uci_har
from tests.datasets.original_files import zip_folder
from tests.decoding import lab_files

ROOT = pathlib.Path(__file__).parents[1]
FENCE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PRINT = re.compile(
    r"^print\(.*\)(?:  # (?P<same>.+)|\n# (?P<next>.+))$", re.MULTILINE
)


def docstrings():
    for path in sorted(ROOT.glob("keras_seqattn/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                text = ast.get_docstring(node)
                for number, code in enumerate(FENCE.findall(text or "")):
                    name = getattr(node, "name", path.stem)
                    yield pytest.param(code, id=f"{path.stem}-{name}-{number}")


def pages():
    for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))):
        if path.stem == "many_devices":  # Which a test does not have.
            continue
        for number, code in enumerate(FENCE.findall(path.read_text())):
            # A proof tries negative counts, which have no root.
            nan = "step_model" in code and ".deploy(" in code
            marks = [pytest.mark.nan] * nan
            yield pytest.param(code, id=f"{path.stem}-{number}", marks=marks)


def write_published_files(folder):
    """Write what the example of recorded sets reads, but small."""
    write_uci_har(folder / "UCI HAR Dataset", uci_har_arrays(72, 128))
    zip_folder(folder / "UCI HAR Dataset", folder / "UCI HAR Dataset.zip")
    one = smartwatch_recordings()[0]
    five = [(subject, *one[1:]) for subject in range(1, 6)]
    write_smartwatch_har(folder / "watch", five)
    zip_folder(folder / "watch", folder / "sp-sw-har-dataset.zip")
    write_opportunity(folder / "opportunity", make_all(30))
    zip_files(folder / "opportunity", folder / "OpportunityUCIDataset.zip")
    poisson_session(folder / "indy_20160407_02.mat", 325, units=3, rate=1)


@pytest.mark.parametrize("code", [*pages(), *docstrings()])
def test_example(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "OpportunityUCIDataset.zip" in code:
        write_published_files(tmp_path)
    if '"session.nwb"' in code:
        lab_files.write_all(tmp_path)
    if '"p9_acc.csv"' in code:
        (tmp_path / "recordings").mkdir()
        phone_files.write_phone_files(tmp_path / "recordings")
        phone_files.write_phone_files(tmp_path, 1, labelled=False, first=9)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "example", "exec"), {})  # noqa: S102
    expected = [
        match["same"] or match["next"] for match in PRINT.finditer(code)
    ]
    assert len(expected) == len(re.findall(r"^print\(", code, re.MULTILINE))
    lines = [
        line for line in printed.getvalue().splitlines() if line in expected
    ]
    assert lines == expected, printed.getvalue()


def test_docstrings_in_private_modules():
    """Ruff's D101 and D103 hold elsewhere, and pass over these."""
    seen, missing = 0, []
    for path in sorted(ROOT.glob("keras_seqattn/**/*.py")):
        if not re.search(r"/_[a-z]", str(path.relative_to(ROOT))):
            continue
        for node in ast.parse(path.read_text()).body:
            if isinstance(
                node, (ast.ClassDef, ast.FunctionDef)
            ) and not node.name.startswith("_"):
                seen += 1
                if not ast.get_docstring(node):
                    missing.append(f"{path.stem}.{node.name}")
    assert seen > 40 and missing == []


def test_layers_document_the_whole_contract():
    for path in sorted(ROOT.glob("keras_seqattn/layers/[!_]*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and node.name[0] != "_":
                text = ast.get_docstring(node)
                places = [
                    text.index(f"\n{part}:\n")
                    for part in (
                        "Reference",
                        "Args",
                        "Call arguments",
                        "Input shape",
                        "Output shape",
                        "Masking",
                        "Raises",
                        "Example",
                    )
                ]
                assert places == sorted(places)
