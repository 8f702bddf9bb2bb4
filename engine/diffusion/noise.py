"""How much noise there is at a time between 0 (clean) and 1 (all masked): the log-linear schedule.

sigma(t) is the total noise: a token is masked at time t with probability
1 - exp(-sigma(t)), which this schedule makes (1 - EPSILON) t.

Lou, Meng, Ermon, "Discrete Diffusion Modeling by Estimating the Ratios of the
Data Distribution" (SEDD), ICML 2024, arXiv:2310.16834, appendix C.1.
"""

import math

import torch

EPSILON = 1e-3
"""Chance that a token survives to time 1; keeps sigma(1) finite. arXiv:2310.16834, appendix C.1."""


def total_noise(t: torch.Tensor) -> torch.Tensor:
    """sigma(t) = -log(1 - (1 - EPSILON) t).

    Examples
    --------
    >>> sigma = total_noise(torch.tensor([0.0, 0.5], dtype=torch.float64))
    >>> [round(float(x), 4) for x in 1 - (-sigma).exp()]
    [0.0, 0.4995]
    """
    return -torch.log1p(-(1 - EPSILON) * t)


def noise_rate(t: torch.Tensor) -> torch.Tensor:
    """Derivative of sigma: (1 - EPSILON) / (1 - (1 - EPSILON) t). [1/time]"""
    return (1 - EPSILON) / (1 - (1 - EPSILON) * t)


def time_grid(num_steps: int) -> list[float]:
    """Times of num_steps reverse steps from 1 to 0, both ends included.

    Examples
    --------
    >>> time_grid(4)
    [1.0, 0.75, 0.5, 0.25, 0.0]
    """
    return [1 - step / num_steps for step in range(num_steps + 1)]


def sigma_at(t: float) -> float:
    """``total_noise`` of one number."""
    return -math.log1p(-(1 - EPSILON) * t)
