"""How long functions and files may be."""

import ast
import pathlib

ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted(
    path
    for folder in ("keras_seqattn", "tuning", "examples", "benchmarks")
    for path in ROOT.glob(f"{folder}/**/*.py")
)


def lines(function):
    """Lines of a function without those of its docstring."""
    count = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function, clean=False) is not None:
        text = function.body[0]
        count -= text.end_lineno - text.lineno + 1
    return count


def test_functions_are_short():
    assert len(FILES) > 150
    found = {
        f"{path.relative_to(ROOT)}:{node.name}": lines(node)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    assert {n: count for n, count in found.items() if count > 80} == {}


def test_long_files_say_why():
    for path in FILES:
        text = path.read_text()
        if text.count("\n") > 450:
            why = ast.get_docstring(ast.parse(text)) or ""
            assert "\nLong because: " in why, path
