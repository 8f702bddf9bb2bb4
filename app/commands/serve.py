"""speculens app: serve the dashboard."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from app.terminal import notice


def run(data: Path | None, port: int) -> None:
    """Serve until interrupted; data is the folder of records, None the embedded ones."""
    environment = dict(os.environ)
    if data is not None:
        environment["SPECULENS_DATA"] = str(data.resolve())
    notice(f"dashboard on http://localhost:{port} (Ctrl-C ends it)")
    command = [
        sys.executable, "-m", "streamlit", "run", str(Path(__file__).parents[1] / "dashboard.py"),
        "--server.port", str(port), "--server.address", "localhost",
        "--server.headless", "true", "--browser.gatherUsageStats", "false",
    ]  # fmt: skip
    try:
        subprocess.run(command, env=environment, check=True, cwd=Path(__file__).parents[2])
    except KeyboardInterrupt:
        notice("dashboard ended")
