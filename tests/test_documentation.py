"""Every Python example in the README, in docs and in a docstring runs.

A comment after `print(...)`, or on the line below it, is what it prints.
"""

import ast
import contextlib
import io
import pathlib
import re

import pytest

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
        for number, code in enumerate(FENCE.findall(path.read_text())):
            yield pytest.param(code, id=f"{path.stem}-{number}")


@pytest.mark.parametrize("code", [*pages(), *docstrings()])
def test_example(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
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


def public_objects():
    for path in sorted(ROOT.glob("keras_seqattn/**/*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(
                node, (ast.ClassDef, ast.FunctionDef)
            ) and not node.name.startswith("_"):
                yield pytest.param(node, id=f"{path.stem}-{node.name}")


@pytest.mark.parametrize("node", [*public_objects()])
def test_public_object_has_a_docstring(node):
    assert ast.get_docstring(node) or node.name == "main"


def test_layers_document_the_whole_contract():
    for path in sorted(ROOT.glob("keras_seqattn/layers/*.py")):
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
