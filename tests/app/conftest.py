"""A data folder with one synthetic profile and its validation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.factories import write_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("records")
    write_demo(root)
    return root
