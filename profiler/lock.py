"""One measurement per device at a time, across processes."""

import fcntl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch


@contextmanager
def device_lock(
    device: torch.device, waiting: Callable[[str], None] = lambda message: None
) -> Iterator[None]:
    """Hold the device's measuring lock; wait for whoever holds it.

    Parameters
    ----------
    device : torch.device
    waiting : callable
        Told once, in one line, when the lock is taken by another process.
    """
    path = Path(tempfile.gettempdir()) / f"speculens-{device.type}.lock"
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting(f"another measurement is using {device.type}; waiting for it to end")
            fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)
