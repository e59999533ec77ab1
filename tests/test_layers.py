"""The import rule: layers import downwards only, and one outside thing has one importer."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "efsprov"
# Each layer and the layers that it may import.
BELOW = {
    "core": set(),
    "bootstrap": set(),
    "net": {"core"},
    "store": {"core"},
    "aws": {"core", "net"},
    "pipeline": {"core", "net", "store"},
    "models": {"core", "store", "pipeline"},
    "bundle": {"core", "store", "aws", "pipeline", "emit"},
    "emit": {"core"},
    "functions": {"core", "store", "aws", "emit"},
    "builders": {"core", "net", "store", "aws", "pipeline", "emit", "functions"},
    "cli": {"core", "store", "aws", "pipeline", "models", "bundle", "emit", "builders", "functions"},
}
# Outside packages and the one place in efsprov that may import each.
IMPORTERS = {
    "boto3": "aws/",
    "botocore": "aws/",
    "fabric": "builders/ssh/connection.py",
    "invoke": "builders/ssh/connection.py",
    "paramiko": "builders/ssh/connection.py",
    "tenacity": "net/retry.py",
    "typer": "cli/",
    "rich": "cli/",
    "elftools": "pipeline/",
    "urllib3": "pipeline/tools/http.py",
    "uv": "pipeline/",
}
MODULES = sorted(ROOT.rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_downwards(path):
    layer = path.relative_to(ROOT).parts[0]
    used = {name.split(".")[1] for name in imports_of(path) if name.startswith("efsprov.")}
    assert used <= BELOW[layer] | {layer}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_an_outside_package_has_one_importer(path):
    relative = str(path.relative_to(ROOT))
    for name in imports_of(path):
        allowed = IMPORTERS.get(name.split(".")[0])
        assert allowed is None or relative.startswith(allowed), f"{relative} imports {name}"


def test_the_builders_half_of_the_pipeline_knows_nothing_of_resolving():
    """What runs on a builder gets one request; `resolve/` stays at the orchestrator (efsprov/pipeline/__init__.py)."""
    for path in MODULES:
        folder = path.relative_to(ROOT).parts[:2]
        if folder[0] == "pipeline" and folder[1] != "resolve":
            used = {name for name in imports_of(path) if name.startswith("efsprov.pipeline.resolve")}
            assert not used, f"{path.relative_to(ROOT)} imports {used}"


def test_each_folder_says_what_it_is_for():
    for folder in {path.parent for path in MODULES} - {ROOT / "pipeline/imports/in_target"}:
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))), folder


def test_the_shim_needs_only_the_standard_library():
    for path in (ROOT / "bootstrap").rglob("*.py"):
        for name in imports_of(path):
            top = name.split(".")[0]
            assert top in sys.stdlib_module_names or name.startswith("efsprov.bootstrap"), f"{path.name} imports {name}"


def test_the_rule_knows_every_layer():
    assert {p.name for p in ROOT.iterdir() if p.is_dir() and p.name != "__pycache__"} == set(BELOW)
    assert not (ROOT / "__init__.py").exists(), "efsprov is a namespace package"


def test_modules_hold_one_idea():
    long = {str(p.relative_to(ROOT)): n for p in MODULES if (n := len(p.read_text().splitlines())) > 300}
    assert long == {}
