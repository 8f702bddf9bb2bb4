"""The import table of the design holds: read from the sources, not from memory."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = {"simulator", "engine", "profiler", "measurements", "app"}
ALLOWED = {
    "measurements": (set(), {"pydantic", "pandas", "pyarrow", "numpy"}),
    "simulator": (set(), {"numpy", "scipy"}),
    "engine": (set(), {"torch", "transformers", "tokenizers", "safetensors", "numpy"}),
    "profiler": ({"engine", "measurements"}, {"torch", "transformers", "numpy", "pandas"}),
    "app": (
        {"simulator", "measurements"},
        {"streamlit", "plotly", "typer", "rich", "numpy", "pandas"},
    ),
}
"""Package -> (packages of the project, third-party packages) it may import at module level."""

SIMULATOR_MAY_READ_MEASUREMENTS = {"calibration.py", "validation.py"}


def module_level_imports(path: Path) -> set[str]:
    """Top-level names imported outside functions and outside ``if TYPE_CHECKING``."""
    tree = ast.parse(path.read_text())
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").split(".")[0])
    return names


def all_imports(path: Path) -> set[str]:
    """Top-level names imported anywhere in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").split(".")[0])
    return names


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_packages_import_only_what_the_table_allows(package: str) -> None:
    project, third_party = ALLOWED[package]
    assert sources(package)
    for path in sources(package):
        extra = {"measurements"} if path.name in SIMULATOR_MAY_READ_MEASUREMENTS else set()
        allowed = project | third_party | extra | {package} | set(sys.stdlib_module_names)
        assert module_level_imports(path) <= allowed, path


def test_simulator_and_engine_never_import_each_other() -> None:
    for package, other in (("simulator", "engine"), ("engine", "simulator")):
        for path in sources(package):
            assert other not in all_imports(path), path
            assert "profiler" not in all_imports(path), path


@pytest.mark.parametrize("module", ["simulator", "measurements", "app.cli"])
def test_import_works_without_torch(module: str) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['transformers'] = None\n"
        f"import {module}"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


def test_the_checker_would_notice_a_forbidden_import(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("import torch\nfrom engine.decode import Request\n")
    assert module_level_imports(path) == {"torch", "engine"}
