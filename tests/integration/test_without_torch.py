"""What a plain installation can do: everything but measuring and decoding."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

from measurements import DATA
from tests.test_layout import ALLOWED

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "measurements" / "engines" / "samples"
BLOCKED = ["torch", "transformers", "tokenizers", "safetensors", "optuna", "hypothesis"]

WITHOUT = f"""
import importlib.abc, json, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""

CALLS = """
from contextlib import redirect_stdout
from io import StringIO
from app.cli import main

results = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["speculens", *arguments]
    said, code = StringIO(), 0
    with redirect_stdout(said):
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
    results.append([code, said.getvalue()])
print(json.dumps(results))
"""

DASHBOARD = """
from streamlit.testing.v1 import AppTest

for page in ("overview", "watch"):
    app = AppTest.from_file("app/dashboard.py", default_timeout=60).run()
    if page != "overview":
        app = app.switch_page(f"views/{page}.py").run()
    assert not app.exception, app.exception
    print(page, *(element.value for element in (*app.error, *app.warning, *app.info)))
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter in which the engine's packages cannot be imported."""
    command = [sys.executable, "-c", WITHOUT + code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_predict_optimize_import_and_export_work() -> None:
    profile = str(next(DATA.rglob("profile-*67eda4.json")))
    calls = [
        ["predict", "--profile", profile, "--gamma", "2", "--json"],
        ["optimize", "--profile", profile, "--sampling", "T0", "--json"],
        ["import", str(SAMPLES / "vllm_bench.jsonl"), "--json"],
        ["export", "--engine", "vllm", "--profile", profile, "--sampling", "T0",
         "--method", "chain", "--draft", "d", "--json"],
    ]  # fmt: skip
    done = run(CALLS, json.dumps(calls))
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert [code for code, _ in results] == [0, 0, 0, 0], done.stderr
    predicted, optimized, imported, exported = (json.loads(said) for _, said in results)
    assert predicted and optimized["best"] and imported and exported


def test_the_dashboard_works_and_its_live_page_says_what_is_missing() -> None:
    done = run(DASHBOARD)
    assert done.returncode == 0, done.stderr
    overview, watch = done.stdout.strip().splitlines()
    assert overview.startswith("overview")
    assert "torch" in watch


def test_commands_that_need_torch_say_so_in_one_line() -> None:
    names = ["profile", "decode", "validate", "compare", "bench", "train", "transfer", "session"]
    calls = [[name] for name in names] + [["reproduce", "staged"], ["optimize", "--measure", "j"]]
    done = run(CALLS, json.dumps(calls))
    assert json.loads(done.stdout) == [[2, ""]] * len(calls)
    line = "speculens: this needs torch: pip install 'speculens[engine]'"
    assert done.stderr.splitlines() == [line] * len(calls)


def test_the_default_dependencies_are_what_a_plain_installation_imports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {name.split(">")[0] for name in project["dependencies"]}
    assert declared == set().union(*(ALLOWED[p][1] for p in ("measurements", "simulator", "app")))
    assert not declared & set(BLOCKED)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import atexit\nfrom app.cli import main\nsys.argv = ['speculens', '--help']\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\nmain()"
    )
    done = run(code)
    assert "profile" in done.stdout and done.returncode == 0
    heavy = {"numpy", "scipy", "pandas", "pyarrow", "pydantic", "streamlit", "plotly"}
    assert not heavy & set(done.stderr.split())
