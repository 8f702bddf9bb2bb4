"""What the machine can do at most: streamed bytes and arithmetic per second.

Both are measured with the operation that decoding is made of, a matrix
product in the record's dtype: with one row it streams the matrix from memory,
with many it computes.
"""

import time

import torch
import torch.nn.functional as F

from measurements import Ceilings

STREAM_BYTES = {"cpu": 256 * 2**20, "cuda": 4 * 2**30}
"""Size of the streamed matrix: several times the last-level cache. [bytes]"""

PRODUCT_SIZE = {"cpu": 1536, "cuda": 8192}
"""Side of the square matrices whose product is timed."""


@torch.inference_mode()
def measure_ceilings(device: torch.device, dtype: torch.dtype, repeats: int = 7) -> Ceilings:
    """Measured bandwidth and arithmetic rate.

    Parameters
    ----------
    device : torch.device
    dtype : torch.dtype
    repeats : int
        Samples kept of each, after one warm-up.

    Returns
    -------
    Ceilings
        Raw samples, bytes/s and FLOP/s.
    """
    width = 8192
    rows = STREAM_BYTES[device.type] // (width * dtype.itemsize)
    matrix = torch.randn(rows, width, device=device).to(dtype)
    vector = torch.randn(1, width, device=device).to(dtype)
    streamed = rows * width * dtype.itemsize
    bandwidth = [streamed / s for s in _times(vector, matrix, repeats)]
    del matrix
    side = PRODUCT_SIZE[device.type]
    left = torch.randn(side, side, device=device).to(dtype)
    right = torch.randn(side, side, device=device).to(dtype)
    rate = [2 * side**3 / s for s in _times(left, right, repeats)]
    return Ceilings(read_bandwidth_bytes_per_s=bandwidth, flop_per_s=rate)


def _times(x: torch.Tensor, weight: torch.Tensor, repeats: int) -> list[float]:
    times = []
    for _ in range(repeats + 1):
        _synchronize(x.device)
        started = time.perf_counter()
        F.linear(x, weight)
        _synchronize(x.device)
        times.append(time.perf_counter() - started)
    return times[1:]


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
