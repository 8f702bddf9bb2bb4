"""Who can reach the dashboard, and whom does it tell? Nobody but this machine, and nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ENTRY = Path(__file__).resolve().parents[2] / "app" / "dashboard.py"
ASK = """
import sys
from streamlit import config
from streamlit.web import bootstrap
config._main_script_path = sys.argv[1]
bootstrap.load_config_options({})
for name in ("server.address", "browser.gatherUsageStats", "server.maxUploadSize"):
    print(config.get_option(name))
"""


def test_without_options_it_listens_on_this_machine_only_and_reports_nothing(tmp_path):
    """As `streamlit run` reads its options, from a folder that holds none of its own."""
    told = subprocess.run(
        [sys.executable, "-c", ASK, str(ENTRY)],
        cwd=tmp_path, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.split() == ["localhost", "False", "64"]
