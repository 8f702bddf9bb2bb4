"""The reverse process as published: which positions a step unmasks is left to chance.

The reference for the formulas. The drafter fixes the surest positions instead,
as many as this process would on average (engine/drafters/diffusion.py).
"""

from collections.abc import Callable
from itertools import pairwise

import torch

from engine.diffusion.absorbing import reverse_law, score_of_masked
from engine.diffusion.noise import time_grid, total_noise
from engine.randomness import Randomness

Denoise = Callable[[torch.Tensor, float], torch.Tensor]
"""Log law [block, vocab] of every clean token, given the block [block] and the time."""


def sample_block(
    denoise: Denoise, size: int, vocab_size: int, num_steps: int, randomness: Randomness
) -> torch.Tensor:
    """Draw a block of tokens in num_steps reverse steps from all masked.

    The last step is the denoiser's: it leaves no mask.

    Returns
    -------
    torch.Tensor [size], int64

    Notes
    -----
    SEDD, algorithm 2 with the Tweedie step (arXiv:2310.16834, section 4.2). With
    the exact law its error vanishes as steps outnumber tokens: the only
    approximation is that the tokens of one step are independent.
    """
    state = torch.full((size,), vocab_size)
    times = time_grid(num_steps)
    for now, then in pairwise(times):
        here, there = total_noise(torch.tensor([now, then], dtype=torch.float64))
        score = score_of_masked(denoise(state, now), here.expand(size))
        law = reverse_law(score, state, (here - there).expand(size))
        if then == 0:
            law[:, vocab_size] = 0.0
        is_masked = state == vocab_size
        if bool(is_masked.any()):
            state = state.masked_scatter(is_masked, randomness.draw(law[is_masked]))
    return state
