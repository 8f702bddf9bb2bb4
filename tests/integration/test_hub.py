"""A model that can be had from nowhere: one line says what was asked for and what works instead."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_hub_id_without_network_is_refused_in_one_line(tmp_path: Path) -> None:
    command = ["profile", "--target", "nobody/target", "--draft", "nobody/draft", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", *command],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("speculens: cannot load a causal language model from 'nobody/target': ")
    assert line.endswith("; a folder that holds the model works without network")
