"""How the site is built: `make docs`, or `sphinx-build docs docs/_build`."""

import pathlib
import re
import sys
from typing import Any

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs/_ext"))

project = "keras_seqattn"
author = "The keras_seqattn authors"
release = re.search(
    r'__version__ = "(.+)"', (ROOT / "keras_seqattn/version.py").read_text()
)[1]

# MyST, since pages and docstrings are Markdown; `reference` and `tutorials`
# are in `_ext` and say why they are there. No other site is asked for its
# names: a build needs no network.
extensions = ["myst_parser", "sphinx_copybutton", "reference", "tutorials"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
exclude_patterns = ["_build", "_ext"]
source_suffix = {".md": "markdown"}
root_doc = "index"
# A fence without a language is an equation, or what was printed.
highlight_language = "text"
# An argument a line where they would not fit into one.
python_maximum_signature_line_length = 79
toc_object_entries_show_parents = "hide"
suppress_warnings = [
    # The README begins its sections where a page of the site does.
    "myst.header",
]

html_theme = "pydata_sphinx_theme"
html_title = "keras_seqattn"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
# Pages that stand alone have no section to walk through.
ALONE = "index", "install", "results", "replication", "questions", "changelog"
html_sidebars = {name: [] for name in ALONE}
copyright = "The keras_seqattn authors, MIT licence"


def mend_links(app: Any, name: str, source: list[str]) -> None:
    """What a page on a code host links in the tree, the site has as a page.

    A docstring names a page by its path.
    """
    text = source[0].replace("](../tuning/README.md)", "](searches.md)")
    top = "../" * name.count("/")
    source[0] = re.sub(
        r"`docs/(\w+)\.md`",
        lambda page: f"[{page[1].replace('_', ' ')}]({top}{page[1]}.md)",
        text,
    )


def setup(app: Any) -> None:
    """Let Sphinx mend links."""
    app.connect("source-read", mend_links)
