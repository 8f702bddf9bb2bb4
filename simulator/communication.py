"""What do several devices say to each other during one forward, and how long does it take?

Tensor parallel: every layer is split over all devices, which add up what they found. Pipeline
parallel: every device has some of the layers and hands on. Data parallel changes no forward:
replicas multiply tokens per second, each at its own share of the sequences.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, above, at_least, one_count
from simulator.links import Link
from simulator.model_shape import ModelShape


@dataclass(frozen=True)
class Layout:
    """How one model lies on several devices.

    Attributes
    ----------
    tensor_parallel : int, >= 1
        Devices that every layer is split over.
    pipeline_parallel : int, >= 1
        Groups of them, one behind the other.
    link : Link, optional
        Between neighbours; needed by more than one device.

    Raises
    ------
    ValueError
        If a number leaves its bound, or several devices have no link.

    Examples
    --------
    >>> Layout(tensor_parallel=4)
    Traceback (most recent call last):
    ValueError: 4 devices need a link between them
    """

    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    link: Link | None = None

    def __post_init__(self) -> None:
        one_count("tensor_parallel", self.tensor_parallel, 1)
        one_count("pipeline_parallel", self.pipeline_parallel, 1)
        if self.num_devices > 1 and self.link is None:
            raise ValueError(f"{self.num_devices} devices need a link between them")

    @property
    def num_devices(self) -> int:
        """All of them."""
        return self.tensor_parallel * self.pipeline_parallel


ONE_DEVICE = Layout()
"""Nothing is split, nothing is said."""


def all_reduce_seconds(link: Link, num_devices: int, num_bytes: ArrayLike) -> FloatArray:
    """Time until all devices have the sum of what each of them holds, in a ring.

    Parameters
    ----------
    link : Link
    num_devices : int, >= 1
    num_bytes : float or array, >= 0
        That each of them holds. [bytes]

    Returns
    -------
    float or array, shape of num_bytes
        0 on one device. [s]

    Raises
    ------
    ValueError
        If a number leaves its bound.

    Notes
    -----
    Equation (M7.10) in docs/model.md; sections 3 and 4 of [1]_, optimal in bandwidth by [2]_.
    Additions on the way are left out. Trees and one-shot kernels have fewer steps than a ring;
    below some 100 kB they win, and this is then too high.

    References
    ----------
    .. [1] R. Thakur, R. Rabenseifner, W. Gropp, "Optimization of Collective Communication
       Operations in MPICH", Int. J. High Perform. Comput. Appl. 19 (2005) 49-66.
    .. [2] P. Patarasuk, X. Yuan, "Bandwidth optimal all-reduce algorithms for clusters of
       workstations", J. Parallel Distrib. Comput. 69 (2009) 117-124.

    Examples
    --------
    >>> slow = Link("slow", bandwidth=1e6, step_seconds=0.5)
    >>> all_reduce_seconds(slow, 4, [0, 1e6])
    array([3. , 4.5])
    """
    return 2.0 * _ring_seconds(link, num_devices, num_bytes) + _call_seconds(link, num_devices)


def gather_seconds(link: Link, num_devices: int, num_bytes: ArrayLike) -> FloatArray:
    """Time until parts of all devices are together, ``num_bytes`` in all; (M7.10). [s]

    Half an all-reduce. Raises ValueError if a number leaves its bound.

    Examples
    --------
    >>> float(gather_seconds(Link("slow", bandwidth=1e6, step_seconds=0.5), 4, 1e6))
    2.25
    """
    return _ring_seconds(link, num_devices, num_bytes) + _call_seconds(link, num_devices)


def communication_seconds(
    shape: ModelShape,
    layout: Layout,
    num_tokens: ArrayLike,
    batch: ArrayLike = 1,
    *,
    logit_tokens: ArrayLike | None = None,
    value_bytes: float = 2.0,
) -> FloatArray:
    """Time that the devices of one forward spend on telling each other.

    Parameters
    ----------
    shape : ModelShape
    layout : Layout
    num_tokens : float or array, >= 1
        New tokens per sequence. [tokens]
    batch : float or array, >= 1
        Sequences.
    logit_tokens : float or array, >= 1, optional
        Tokens per sequence whose logits are computed, all by default. [tokens]
    value_bytes : float, > 0
        Of an activation. [bytes]

    Returns
    -------
    float or array, broadcast shape of the inputs
        0 on one device. [s]

    Raises
    ------
    ValueError
        If a number leaves its bound.

    Notes
    -----
    Equation (M7.11) in docs/model.md: two all-reduces a layer [1]_ and one of the embeddings,
    a gather of the logits, and a hand-over of all activations between groups. Nothing overlaps
    with arithmetic. Exchange of tokens between devices that hold different experts is left out.

    References
    ----------
    .. [1] M. Shoeybi et al., "Megatron-LM: Training Multi-Billion Parameter Language Models Using
       Model Parallelism", arXiv:1909.08053, section 3.

    Examples
    --------
    >>> from simulator.known_models import known_shape
    >>> from simulator.links import known_link
    >>> two = Layout(tensor_parallel=2, link=known_link("NVLink-4"))
    >>> seconds = communication_seconds(known_shape("Llama-3.1-8B"), two, [1, 8])
    >>> (1e6 * seconds).round()
    array([516., 526.])
    """
    tokens = at_least("num_tokens", num_tokens, 1)
    rows = at_least("batch", batch, 1)
    read_out = tokens if logit_tokens is None else at_least("logit_tokens", logit_tokens, 1)
    size = float(above("value_bytes", value_bytes, 0))
    tokens, rows, read_out = np.broadcast_arrays(tokens, rows, read_out)
    if layout.link is None:
        return np.zeros(tokens.shape)[()]
    told = tokens * rows * shape.hidden_size * size
    degree, groups = layout.tensor_parallel, layout.pipeline_parallel
    reduces = 2 * shape.num_layers + 1
    logits = rows * read_out * shape.vocab_size * size
    handed = layout.link.step_seconds + told / layout.link.bandwidth
    return np.asarray(
        reduces * all_reduce_seconds(layout.link, degree, told)
        + gather_seconds(layout.link, degree, logits)
        + (groups - 1) * (handed + layout.link.call_seconds)
    )[()]


def _ring_seconds(link: Link, num_devices: int, num_bytes: ArrayLike) -> FloatArray:
    """Once around: p - 1 steps of a p-th each. [s]"""
    devices = one_count("num_devices", num_devices, 1)
    each = at_least("num_bytes", num_bytes, 0) / devices
    return np.asarray((devices - 1) * (link.step_seconds + each / link.bandwidth))[()]


def _call_seconds(link: Link, num_devices: int) -> float:
    return link.call_seconds if num_devices > 1 else 0.0
