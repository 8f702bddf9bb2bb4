"""From logits to a distribution, and from a distribution and a uniform to a token.

Randomness is an argument everywhere: the same uniforms give the same tokens,
and tests integrate over them exactly.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from engine.errors import InputError


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen from the logits.

    Attributes
    ----------
    temperature : float, >= 0
        0 is greedy decoding. [unitless]
    top_k : int or None, >= 1
        Keep the k most likely tokens (ties with the k-th stay). [tokens]
    top_p : float or None, in (0, 1]
        Then keep the smallest set of likeliest tokens whose mass reaches p.

    Raises
    ------
    InputError
        If a value is outside its range.

    Examples
    --------
    >>> Sampling(temperature=0.7, top_k=50).label
    'T0.7-k50'
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise InputError(f"temperature must be finite and >= 0, not {self.temperature:g}")
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"top-k must be at least 1, not {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InputError(f"top-p must be in (0, 1], not {self.top_p:g}")

    def narrowed(self, candidates: int | None) -> "Sampling":
        """The same, from at most so many of the likeliest tokens.

        Examples
        --------
        >>> Sampling(1.0, top_k=50).narrowed(8).label
        'T1-k8'
        """
        if candidates is None or (self.top_k is not None and self.top_k <= candidates):
            return self
        return replace(self, top_k=candidates)

    @property
    def greedy(self) -> bool:
        """True when the choice needs no randomness."""
        return self.temperature == 0

    @property
    def mode(self) -> str:
        """Which host work a choice is: ``greedy``, ``sampled``, or ``filtered`` before drawing."""
        if self.greedy:
            return "greedy"
        return "sampled" if self.top_k is None and self.top_p is None else "filtered"

    @property
    def label(self) -> str:
        """Short name used in file names and tables."""
        parts = [f"T{self.temperature:g}"]
        parts += [f"k{self.top_k}"] if self.top_k is not None else []
        parts += [f"p{self.top_p:g}"] if self.top_p is not None else []
        return "-".join(parts)


def distribution(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Probabilities that tokens are drawn from.

    Parameters
    ----------
    logits : torch.Tensor [..., vocab]
    sampling : Sampling
        Order of the warps: temperature, top-k, top-p, as in Transformers.

    Returns
    -------
    torch.Tensor [..., vocab], float64 for float64 logits, else float32
        One-hot on the first largest logit at temperature 0.
    """
    if sampling.greedy:
        best = logits.argmax(dim=-1, keepdim=True)
        kind = torch.float64 if logits.dtype == torch.float64 else torch.float32
        return torch.zeros(logits.shape, dtype=kind, device=logits.device).scatter_(-1, best, 1.0)
    return warped(logits, sampling).softmax(dim=-1)


def warped(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Logits whose softmax is ``distribution``, at a temperature above 0; -inf where it is 0."""
    scaled = logits if logits.dtype == torch.float64 else logits.float()
    if sampling.temperature != 1:
        scaled = scaled / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < scaled.shape[-1]:
        scaled = scaled.masked_fill(scaled < kth_largest(scaled, sampling.top_k), -math.inf)
    if sampling.top_p is not None and sampling.top_p < 1:
        scaled = _keep_top_p(scaled, sampling.top_p)
    return scaled


def kth_largest(values: torch.Tensor, k: int) -> torch.Tensor:
    """The k-th largest value of each row [..., 1], k at most the row's length.

    Examples
    --------
    >>> kth_largest(torch.tensor([[3.0, 1.0, 2.0]]), 2).tolist()
    [[2.0]]
    """
    if values.device.type != "cpu":
        return values.topk(k, dim=-1).values[..., -1:]
    place = values.shape[-1] - k  # a partition is half the time of torch's top-k on a CPU
    return torch.from_numpy(np.partition(values.numpy(), place, axis=-1)[..., place, None])


def draw(probs: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Tokens drawn by inverting the cumulative distribution.

    Parameters
    ----------
    probs : torch.Tensor [..., vocab]
        Non-negative; need not be normalised.
    uniforms : torch.Tensor [...], float64, in [0, 1)

    Returns
    -------
    torch.Tensor [...], int64
        The first token whose cumulative mass exceeds uniform * total. Summed
        in float64: in float32 rare tokens of a large vocabulary are lost.
    """
    cumulative = probs.cumsum(dim=-1, dtype=torch.float64)
    threshold = uniforms.unsqueeze(-1) * cumulative[..., -1:]
    token = torch.searchsorted(cumulative, threshold, right=True)
    return token[..., 0].clamp_(max=probs.shape[-1] - 1)


def draw_distinct(probs: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Tokens drawn one after the other without replacement, each from what is left.

    Parameters
    ----------
    probs : torch.Tensor [rows, vocab], on the CPU
        Non-negative; need not be normalised.
    uniforms : torch.Tensor [rows, width], float64, in [0, 1)

    Returns
    -------
    torch.Tensor [rows, width], int64

    Notes
    -----
    The tokens ``draw`` gives when the drawn ones are set to 0 in between, from one cumulative
    sum: a threshold steps over the stretches of those.
    """
    cumulative = probs.cumsum(dim=-1, dtype=torch.float64).numpy()
    last = cumulative.shape[-1] - 1
    drawn = []
    for row, fractions in zip(cumulative, uniforms.tolist(), strict=True):
        total = float(row[-1])
        stretches: list[tuple[float, float]] = []  # (start, mass) of drawn tokens, in order
        tokens = []
        for fraction in fractions:
            place = fraction * total
            for start, mass in stretches:
                place += mass if place >= start else 0.0
            token = min(int(row.searchsorted(place, side="right")), last)
            start = float(row[token - 1]) if token > 0 else 0.0
            stretches = sorted([*stretches, (start, float(row[token]) - start)])
            total -= float(row[token]) - start
            tokens.append(token)
        drawn.append(tokens)
    return torch.tensor(drawn)


def _keep_top_p(scaled: torch.Tensor, top_p: float) -> torch.Tensor:
    ordered, index = scaled.sort(dim=-1, descending=True)
    mass_before = ordered.softmax(dim=-1).cumsum(dim=-1).roll(1, dims=-1)
    mass_before[..., 0] = 0
    dropped_in_order = mass_before >= top_p
    dropped = torch.empty_like(dropped_in_order).scatter_(-1, index, dropped_in_order)
    return scaled.masked_fill(dropped, -math.inf)
