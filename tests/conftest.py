"""Settings for every test."""

import os
import tempfile

import torch


def pytest_configure() -> None:
    """One thread, and a temporary folder of our own.

    Tiny models gain nothing from more threads, and busy machines lose a lot. The folder
    keeps the device lock of a real measurement from holding up the tests.
    """
    torch.set_num_threads(1)
    os.environ["TMPDIR"] = tempfile.mkdtemp(prefix="speculens-tests-")
    tempfile.tempdir = None
