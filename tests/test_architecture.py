"""Tests which parts of the project, called rooms, may import each other. ALLOWED has no circular import."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEAVES = {"images", "files", "progress"}
ALLOWED = {
    "images": set(),
    "files": set(),
    "progress": set(),
    "health": {"images"},
    "sampling": LEAVES,
    "core": {"images", "sampling"},
    "data": LEAVES,
    "metrics": LEAVES | {"data"},
    "runs": {"core", "files", "images"},
    "reports": LEAVES | {"runs", "metrics", "data", "sampling", "core"},
    "exports": LEAVES | {"sampling", "core"},
    "commands": LEAVES | {"core", "sampling", "data", "metrics", "runs", "reports", "exports"},
    "callbacks": LEAVES | {"core", "sampling", "health"},
}
MODULES = [*(ROOT / "gan").rglob("*.py"), *(ROOT / "callbacks").glob("*.py")]


def room_of(parts):
    """Returns the room of a module from the parts of its name. None for `gan` itself and other projects."""
    if parts[0] == "callbacks":
        return "callbacks"
    if parts[0] == "train":
        return "train"
    if parts[0] != "gan" or parts[1:] == ("__init__",) or len(parts) == 1:
        return None
    if parts[1] == "__main__":
        return "commands"
    return parts[1] if parts[1] in ALLOWED else "core"


def imports_of(path):
    """Yields every dotted name that a file imports, as a tuple of its parts."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            module = (*start, *(node.module or "").split(".")) if node.module else start
            is_package = module in (("gan",), ("callbacks",))
            yield from ((*module, alias.name) for alias in node.names) if is_package else [module]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_between_rooms(path):
    room = room_of(path.relative_to(ROOT).with_suffix("").parts)
    for module in imports_of(path):
        other = room_of(module)
        assert "src" not in module[1:2], f"{'.'.join(module)} is private"
        if room is not None and other not in (None, room):
            assert other in ALLOWED[room], f"{room} must not import {'.'.join(module)}"


def test_setup_lists_every_package():
    import configparser

    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    folders = [path.parent.relative_to(ROOT) for path in MODULES if path.name == "__init__.py"]
    packages = {".".join(folder.parts) for folder in folders}
    assert set(setup["options"]["packages"].split()) == packages
