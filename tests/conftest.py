"""Settings for every test."""

import os
import tempfile

import torch
from hypothesis import settings


def pytest_configure() -> None:
    """One thread, no deadlines, and a temporary folder of our own.

    Tiny models gain nothing from more threads, and busy machines lose a lot; there an example
    may take any time. The folder keeps a real measurement's device lock from holding up the tests.
    """
    torch.set_num_threads(1)
    settings.register_profile("any machine", deadline=None)
    settings.load_profile("any machine")
    os.environ["TMPDIR"] = tempfile.mkdtemp(prefix="speculens-tests-")
    tempfile.tempdir = None
