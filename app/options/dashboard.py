"""Options of the dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def dashboard(
    data: Annotated[Path | None, typer.Option(help="Folder of records.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
) -> None:
    """Open the dashboard on recorded data."""
    from app.commands import serve

    serve.run(data, port)
