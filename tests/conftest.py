"""Settings for every test."""

import torch


def pytest_configure() -> None:
    """One thread: tiny models gain nothing from more, and busy machines lose a lot."""
    torch.set_num_threads(1)
