"""Reference pages from docstrings, one a room, as Markdown for MyST.

Our docstrings are Markdown with fenced examples, under Google's section
names and some of Keras' and our own. `autodoc` reads reStructuredText, and
`sphinx-autodoc2`, which takes Markdown, has had no release since 2023. This
writes what MyST reads as it is: docstrings unchanged but for their sections,
inside the directives of Sphinx' Python domain, so that names are linked and
searched. It reads the source and imports nothing: a build needs no backend.
"""

import ast
import dataclasses
import pathlib
import re
from collections.abc import Iterator
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = ROOT / "keras_seqattn"
PAGES = ROOT / "docs/reference"
ROOMS = (
    "layers",
    "models",
    "decoding",
    "activity",
    "memory",
    "learning_rules",
    "streaming",
    "export",
    "windows",
    "tasks",
    "datasets",
    "visualization",
    "callbacks",
    "activations",
)
SECTION = re.compile(r"^([A-Z][A-Za-z ]+):$")
ENTRY = re.compile(r"^([*\w.`][\w ,.*`]*?):(?:\s+(.*))?$")
LISTS = {"Args", "Attributes", "Call arguments", "Raises", "Weights"}
CODE = re.compile(r"(?<![`}])`([A-Za-z_][\w.]*)(\(\))?`(?!`)")


@dataclasses.dataclass(frozen=True)
class Item:
    """A public name: where it is found, and where it is written."""

    name: str
    node: Any
    docstring: str

    @property
    def full(self) -> str:
        """The name that a user writes."""
        return f"keras_seqattn.{self.name}"


def items(room: str) -> list[Item]:
    """Return what a room's door shows, in its order."""
    door = PACKAGE / room / "__init__.py"
    if not door.exists():  # The room is one file.
        return [
            Item(f"{room}.{name}", node, text)
            for name, (node, text) in _definitions(f"keras_seqattn.{room}")
            if isinstance(node, ast.FunctionDef)
        ]
    found, modules = [], {}
    body = ast.parse(door.read_text()).body
    # What is imported when it is used is named for type checkers.
    later = [x for node in body if isinstance(node, ast.If) for x in node.body]
    for node in [*body, *later]:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(
            "keras_seqattn"
        ):
            written = modules.setdefault(
                node.module, dict(_definitions(node.module))
            )
            found += [
                Item(f"{room}.{alias.name}", *written[alias.name])
                for alias in node.names
            ]
    # What a user reaches through its file: the originals' settings.
    for module, written in modules.items():
        if "FAITHFUL" in written:
            name = f"{module.removeprefix('keras_seqattn.')}.FAITHFUL"
            found.append(Item(name, *written["FAITHFUL"]))
    return found


def _definitions(module: str) -> Iterator[tuple[str, tuple[Any, str]]]:
    """Yield the public names that a file defines, with their docstrings."""
    path = ROOT / (module.replace(".", "/") + ".py")
    body = ast.parse(path.read_text()).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ImportFrom):
            # `import X as X` hands on what another file defines.
            for alias in node.names:
                if alias.name == alias.asname:
                    written = dict(_definitions(node.module or ""))
                    yield alias.name, written[alias.name]
            continue
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            name, text = node.name, ast.get_docstring(node) or ""
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            target = node.targets[0] if isinstance(node, ast.Assign) else node
            name = getattr(getattr(target, "target", target), "id", "_")
            text = _string(after)
        else:
            continue
        if not name.startswith("_"):
            yield name, (node, text)


def _string(node: Any) -> str:
    value = getattr(getattr(node, "value", None), "value", None)
    return value.strip() if isinstance(value, str) else ""


def signature(function: Any) -> str:
    """Return a function's arguments as they are written, without `self`."""
    arguments = ast.parse(ast.unparse(function)).body[0].args  # A copy.
    if arguments.args and arguments.args[0].arg in ("self", "cls"):
        del arguments.args[0]
    returns = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    return f"({ast.unparse(arguments)}){returns}"


def _dataclass_signature(node: ast.ClassDef) -> str:
    fields = [
        ast.unparse(field)
        for field in node.body
        if isinstance(field, ast.AnnAssign)
        and not field.target.id.startswith("_")
    ]
    return f"({', '.join(_no_factory(field) for field in fields)})"


def _no_factory(field: str) -> str:
    return re.sub(r" = (dataclasses\.)?field\(.*", " = ...", field)


def markdown(docstring: str, known: dict[str, str], own: str) -> str:
    """Return a docstring with its sections as MyST sets them."""
    out: list[str] = []
    section, fenced = "", False
    for line in docstring.splitlines():
        fenced ^= line.lstrip().startswith("```")
        if not fenced and (match := SECTION.match(line)):
            section = match[1]
            out += ["", f"```{{rubric}} {section}", "```", ""]
            continue
        if section and line and not line.startswith("    ") and not fenced:
            # Text that follows a section, or the end of its example.
            section = "" if not line.startswith("```") else section
        if section and line.startswith("    ") and not fenced:
            line = line[4:]
            match = ENTRY.match(line) if section in LISTS else None
            if match:
                names = ", ".join(
                    f"`{name.strip('`')}`" for name in match[1].split(", ")
                )
                line = f"\n{names}"
                if match[2]:
                    line += f"\n: {_link(match[2], known, own)}"
            elif section in LISTS:
                # The definition's first line, or what goes on under it.
                begun = "\n" in out[-1] and "\n:" not in out[-1]
                line = _link(line.removeprefix("    "), known, own)
                line = (": " if begun else "  ") + line
            else:
                line = _link(line, known, own)
        elif not fenced:
            line = _link(line, known, own)
        out.append(line)
    return "\n".join(out).strip() + "\n"


def _link(text: str, known: dict[str, str], own: str) -> str:
    def link(match: re.Match[str]) -> str:
        name = match[1].removeprefix("ks.").removeprefix("keras_seqattn.")
        full = known.get(name)
        if not full or full == own:
            return match[0]
        return f"{{py:obj}}`{match[1]}{match[2] or ''} <{full}>`"

    return CODE.sub(link, text)


def known_names(rooms: dict[str, list[Item]]) -> dict[str, str]:
    """Return what a name in a docstring means; alone, if it is one thing."""
    found: dict[str, str] = {}
    alone: dict[str, set[str]] = {}
    for room in rooms.values():
        for item in room:
            found[item.name] = item.full
            if isinstance(item.node, (ast.ClassDef, ast.FunctionDef)):
                short = item.name.rsplit(".", 1)[-1]
                alone.setdefault(short, set()).add(item.full)
    # Of two rooms with one door to it, the first has the page.
    return {n: min(where) for n, where in alone.items()} | found


def entry(item: Item, known: dict[str, str]) -> str:
    """Return the directive of one name."""
    text = markdown(item.docstring, known, item.full)
    node, name = item.node, item.name.partition(".")[2]  # Within the room.
    if isinstance(node, ast.FunctionDef):
        return _directive("function", name + signature(node), text)
    if not isinstance(node, ast.ClassDef):
        return _directive("data", name, text)
    return _directive(
        "class",
        name + _class_signature(node),
        text + "".join(_methods(node, known, item.full)),
    )


def _class_signature(node: ast.ClassDef) -> str:
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return signature(part).removesuffix(" -> None")
    written = [ast.unparse(x) for x in node.decorator_list]
    if any("dataclass" in x for x in written):
        return _dataclass_signature(node)
    return ""


def _methods(
    node: ast.ClassDef, known: dict[str, str], own: str
) -> Iterator[str]:
    for part in node.body:
        text = ast.get_docstring(part) if _is_method(part) else ""
        if not text or part.name.startswith("_"):
            continue
        marks = {ast.unparse(x) for x in part.decorator_list}
        options = "".join(
            f":{mark}:\n" for mark in sorted(marks & {"classmethod"})
        )
        text = options + "\n" + markdown(text, known, own)
        if marks & {"property", "functools.cached_property"}:
            yield "\n" + _directive("property", part.name, text, 5)
        else:
            head = part.name + signature(part)
            yield "\n" + _directive("method", head, text, 5)


def _is_method(part: Any) -> bool:
    return isinstance(part, ast.FunctionDef)


def _directive(kind: str, head: str, text: str, colons: int = 7) -> str:
    fence = ":" * colons
    return f"{fence}{{py:{kind}}} {head}\n{text}{fence}\n"


def write_pages(app: Any = None) -> None:
    """Write the pages and their index; Sphinx calls this before it reads."""
    rooms = {room: items(room) for room in ROOMS}
    known = known_names(rooms)
    files, lines = {}, []
    for room, found in rooms.items():
        door = PACKAGE / room / "__init__.py"
        path = door if door.exists() else PACKAGE / f"{room}.py"
        about = ast.get_docstring(ast.parse(path.read_text())) or ""
        entries = "\n".join(entry(item, known) for item in found)
        files[room] = (
            f"# {room}\n\n```{{py:module}} keras_seqattn.{room}\n```\n\n"
            f"{about}\n\n{entries}"
        )
        names = ", ".join(
            f"{{py:obj}}`{item.name.removeprefix(room + '.')} <{item.full}>`"
            for item in found
        )
        lines.append(f"[`{room}`]({room}.md)\n: {names}\n")
    listed = "\n".join(ROOMS)
    files["index"] = (
        "# Reference\n\n`import keras_seqattn as ks` gives these rooms.\n\n"
        + "\n".join(lines)
        + f"\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
    )
    PAGES.mkdir(exist_ok=True)
    for name, text in files.items():
        path = PAGES / f"{name}.md"
        # An unchanged page is not read again.
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def setup(app: Any) -> dict[str, bool]:
    """Let Sphinx write the pages."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
