"""What can devices tell each other per second, according to the makers of their links?

Peak figures of one direction, and latencies that the usual library of collectives reckons with.
What a program reaches is less. Any other link is a ``Link`` of its own, best made of a measured
all-reduce.
"""

import difflib
from dataclasses import dataclass

from simulator.checks import above, at_least


@dataclass(frozen=True)
class Link:
    """A link between devices, as the alpha-beta model sees it.

    Attributes
    ----------
    name : str
    bandwidth : float, > 0
        Of each device, one direction. [bytes/s]
    step_seconds : float, >= 0
        Until the first byte of a message has reached the neighbour. [s]
    call_seconds : float, >= 0
        Of every collective operation, whatever the number of devices: its launch. [s]
    source : str
        Where the figures come from.
    date : str
        When the source was read, or the link measured.

    Raises
    ------
    ValueError
        If a figure leaves its bound.

    Examples
    --------
    >>> Link("shared memory", 10e9, 2e-6).call_seconds
    0.0
    """

    name: str
    bandwidth: float
    step_seconds: float = 0.0
    call_seconds: float = 0.0
    source: str = "stated"
    date: str = "now"

    def __post_init__(self) -> None:
        above("bandwidth", self.bandwidth, 0)
        at_least("step_seconds", self.step_seconds, 0)
        at_least("call_seconds", self.call_seconds, 0)


_NCCL = (
    "github.com/NVIDIA/nccl src/graph/tuning.cc at b6475625 (baseLat and hwLat, ring, LL protocol,"
    " which small messages take)"
)
_NVLINK = "nvidia.com/en-us/data-center/nvlink; both directions there, half of it here"
_PCIE = "pcisig.com, 16 lanes with 128b/130b coding"
_RATE = "the rate in the name, over 8; one port for each device"

# name: bandwidth [GB/s, one direction], latency of a step [us], source of the bandwidth
_TABLE = {
    "NVLink-3": (300, 0.6, f"A100: {_NVLINK}"),
    "NVLink-4": (450, 0.6, f"H100, H200: {_NVLINK}"),
    "NVLink-5": (900, 0.6, f"B200: {_NVLINK}"),
    "PCIe-4": (31.5, 1.0, _PCIE),
    "PCIe-5": (63.0, 1.0, _PCIE),
    "InfiniBand-400G": (50, 2.7, _RATE),
    "Ethernet-100G": (12.5, 2.7, _RATE),
    "Ethernet-25G": (3.125, 2.7, _RATE),
}
_CALL_US = 6.6
_CHECKED = "2026-11-22"

KNOWN_LINKS: tuple[str, ...] = tuple(_TABLE)
"""Names that ``known_link`` answers to."""


def known_link(name: str) -> Link:
    """Published figures of a well-known link.

    Parameters
    ----------
    name : str
        One of ``KNOWN_LINKS``; case does not matter.

    Returns
    -------
    Link

    Raises
    ------
    ValueError
        If the name is not in the table; the message lists similar ones.

    Notes
    -----
    Latencies are those that NCCL chooses its algorithm by, for GPUs; Ethernet is given the
    latency of its network class, which a kernel's TCP exceeds tenfold. Bandwidths are peaks.

    Examples
    --------
    >>> known_link("nvlink-4").bandwidth
    450000000000.0
    """
    lower = {known.lower(): known for known in KNOWN_LINKS}
    if name.lower() not in lower:
        near = difflib.get_close_matches(name.lower(), lower, n=4, cutoff=0.3)
        listed = ", ".join(lower[n] for n in near) or ", ".join(KNOWN_LINKS)
        raise ValueError(f"link {name!r} is not in the table; similar: {listed}")
    known = lower[name.lower()]
    bandwidth, step, source = _TABLE[known]
    return Link(
        known, bandwidth * 1e9, step * 1e-6, _CALL_US * 1e-6, f"{source}; {_NCCL}", _CHECKED
    )
