"""The house's arrows: train -> callbacks -> gan, and none of them back."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "gan.images": set(),
    "gan.networks": set(),
    "gan.losses": set(),
    "gan.penalties": set(),
    "gan.optimizer": set(),
    "gan.latents": set(),
    "gan.average": set(),
    "gan.checks": set(),
    "gan.guard": set(),
    "gan.files": set(),
    "gan.idx": set(),
    "gan.lock": set(),
    "gan.weights": set(),
    "gan.download": {"gan.files", "gan.idx"},
    "gan.data": {"gan.images", "gan.download", "gan.files", "gan.idx"},
    "gan.features": {"gan.images", "gan.files", "gan.data", "gan.weights"},
    "gan.metrics": {"gan.features", "gan.weights"},
    "gan.copies": set(),
    "gan.cas": {"gan.data", "gan.images"},
    "gan.report": {
        *("gan.cas", "gan.copies", "gan.data", "gan.features", "gan.files", "gan.images", "gan.metrics"),
    },
    "gan.compare": {"gan.images", "gan.run"},
    "gan.trained": {"gan.files"},
    "gan.command_line": set(),
    "gan.__main__": {
        *("gan.command_line", "gan.compare", "gan.data", "gan.features", "gan.files", "gan.images"),
        *("gan.model", "gan.networks", "gan.report", "gan.run", "gan.trained"),
    },
    "gan.run": {"gan.files", "gan.lock"},
    "gan.settings": {"gan.command_line", "gan.presets"},
    "gan.presets": {"gan.model", "gan.networks", "gan.optimizer"},
    "gan.model": {
        *("gan.images", "gan.losses", "gan.penalties", "gan.optimizer"),
        *("gan.latents", "gan.average", "gan.checks", "gan.guard"),
    },
    "gan": {"gan.metrics", "gan.model", "gan.networks"},
}
MODULES = [*(ROOT / "gan").glob("*.py"), *(ROOT / "callbacks").glob("*.py"), ROOT / "train.py"]


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path):
    """The project's modules that a file imports, anywhere in it."""
    known = {module_name(module) for module in MODULES}
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & known or {node.module}
    return found & known


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_follow_the_arrows(path):
    name, imports = module_name(path), imports_of(path)
    if name.startswith("gan"):
        assert imports <= ALLOWED[name]
    elif name.startswith("callbacks"):
        assert "train" not in imports
