"""The pages of docs/ cannot be run whole: their parts are checked for form."""

import pathlib
import re
import shlex
import subprocess

import pytest

from tuning.command_line import make_parser

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "tuning/README.md"]
COMMAND = re.compile(r"python -m tuning\.([a-z]+_[a-z_]+)(.*)")

pages = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: str(page.relative_to(ROOT))
)


def blocks(page, language):
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.DOTALL | re.MULTILINE)
    return fence.findall(page.read_text())


@pages
def test_links(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.strip().startswith("http"):
            assert (page.parent / target).exists(), target


@pages
def test_code(page):
    for code in blocks(page, "python"):
        compile(code, page.name, "exec")
    for code in blocks(page, "sh"):
        done = subprocess.run(
            ["bash", "-n"],  # noqa: S607
            input=code.replace("<this repository>", "URL"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pages
def test_commands_of_searches(page):
    for code in blocks(page, "sh"):
        for stem, arguments in COMMAND.findall(code.replace("\\\n", " ")):
            words = shlex.split(arguments.strip('"'), comments=True)
            make_parser(stem).parse_args(words)


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text()
    lines = [x for x in text.splitlines() if x[:1] not in ("|", "!")]
    assert text.count("\n") <= 160
    assert max(map(len, lines)) <= 100
    recipes = blocks(ROOT / "README.md", "python")
    assert len(recipes) == 4
    assert max(code.count("\n") for code in recipes) <= 10
