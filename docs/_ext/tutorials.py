"""Pages made from `examples/`: what each prints and draws, then its code.

Run as a script, it runs the examples and keeps what they print and draw in
`docs/tutorials/`, which is committed: all of them take some minutes, and a
build of the site should not. In a build it writes a page of each.
"""

import argparse
import ast
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
PAGES = ROOT / "docs/tutorials"
# In the order of the site, with settings of one to three minutes each.
EXAMPLES = {
    "neural_decoder": "--seeds 0",
    "streaming_decoder": "--bins 4000",
    "live_decoder": "--bins 4000 --seconds 20 --speed 10",
    "export_saved_model": "",
    "activity_classifier": "--folds 2 --seeds 0 --epochs 8 --patience 0",
    "memory_network": "--preset factorial --seeds 0",
    "burst_prop_network": "--seeds 0",
    "data_parallel": "",
}


def run(stem: str) -> None:
    """Run an example in an empty folder, keep its text and its figures."""
    kept = PAGES / stem
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603
            [
                sys.executable,
                str(ROOT / "examples" / f"{stem}.py"),
                *EXAMPLES[stem].split(),
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        (kept / "output.txt").write_text(readable(done.stdout))
        for path in pathlib.Path(folder).glob("results/*/*.png"):
            shutil.copy(path, kept)


def readable(printed: str) -> str:
    """Return what was printed without colours, of a progress bar the end."""
    lines = re.sub(r"\x1b\[[0-9;]*m|\x08", "", printed).splitlines()
    bar = [re.search(r"\d+/\d+ ━", line) is not None for line in lines]
    kept = [
        line.rstrip()
        for number, line in enumerate(lines)
        if not (
            number + 1 < len(lines)
            and bar[number + 1]
            and (bar[number] or not line)
        )
    ]
    return "\n".join(kept) + "\n"


def page(stem: str) -> str:
    """Return the page of an example."""
    source = (ROOT / "examples" / f"{stem}.py").read_text()
    title, head = _head(ast.get_docstring(ast.parse(source)) or "")
    command = f"python examples/{stem}.py {EXAMPLES[stem]}".strip()
    figures = sorted((PAGES / stem).glob("*.png"))
    return "\n\n".join(
        [
            f"# {title}",
            head,
            "## What it prints",
            f"```sh\nKERAS_BACKEND=jax {command}\n```",
            f"```text\n{(PAGES / stem / 'output.txt').read_text()}```",
            *(["## What it draws"] if figures else []),
            *(
                # With a width, a click shows the figure in its own size.
                f"```{{image}} {stem}/{path.name}\n:alt: {path.stem}\n"
                ":width: 100%\n```"
                for path in figures
            ),
            "## The code",
            *_cells(source),
        ]
    )


def _head(docstring: str) -> tuple[str, str]:
    """Return the title of an example and what it says of itself."""
    first, _, rest = docstring.partition("\n\n")
    _, described, description = first.partition("Description:")
    if not described:
        return first.rstrip("."), rest
    title = first.split("\n")[0].removeprefix("Title:").strip()
    return title, f"{' '.join(description.split())}\n\n{rest}"


def _cells(source: str) -> list[str]:
    """Return text and code in turn: a string that is a statement is text."""
    lines = source.splitlines()
    texts = sorted(
        (node.lineno, node.end_lineno, node.value.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and node.value.value.startswith("\n")
    )
    cells, begin = [], texts[0][1] if texts else 0
    for first, last, text in [*texts[1:], (len(lines) + 1, None, "")]:
        code = "\n".join(lines[begin : first - 1]).strip("\n")
        cells += [f"```python\n{code}\n```"] if code else []
        # Headings of an example stand under one of this page.
        text = textwrap.dedent(text).strip().replace("## ", "### ")
        cells += [text] if text else []
        begin = last
    return cells


def write_pages(app: Any = None) -> None:
    """Write the pages and their index; Sphinx calls this before it reads."""
    listed = "\n".join(EXAMPLES)
    files = {stem: page(stem) for stem in EXAMPLES}
    files["index"] = (
        "# Tutorials\n\nThe scripts in `examples/`, with what they print and "
        "draw. Settings are\nshort here, one to three minutes each on one "
        "core; without them the examples take\nmore seeds and epochs, as "
        "those of the [results](../results.md).\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```"
    )
    for name, text in files.items():
        path = PAGES / f"{name}.md"
        # An unchanged page is not read again.
        if not path.exists() or path.read_text() != text + "\n":
            path.write_text(text + "\n")


def setup(app: Any) -> dict[str, bool]:
    """Let Sphinx write the pages."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("examples", nargs="*", help="default: all")
    for example in parser.parse_args().examples or EXAMPLES:
        print(example, flush=True)
        run(example)
