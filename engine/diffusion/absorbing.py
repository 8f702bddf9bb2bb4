"""The absorbing graph: tokens only ever turn into the mask, and back in the reverse process.

States are the vocab_size tokens and, last, the mask. The *score* at a state
x holds p_t(y) / p_t(x) for every state y; its entry at x is 1. Formulas are
those of SEDD (arXiv:2310.16834, section 4 and equation 19); the closed forms
for the absorbing graph are checked against matrix exponentials in
tests/engine/test_diffusion.py.
"""

import math

import torch


def forward_law(clean: torch.Tensor, sigma: torch.Tensor, vocab_size: int) -> torch.Tensor:
    """Law of a token's state after noise sigma, exp(sigma Q) applied to it.

    Parameters
    ----------
    clean : torch.Tensor [...], int64
    sigma : torch.Tensor, broadcastable to clean
    vocab_size : int
        [tokens]

    Returns
    -------
    torch.Tensor [..., vocab_size + 1]
        exp(-sigma) on the token, the rest on the mask.
    """
    kept = torch.exp(-sigma).expand(clean.shape)
    law = torch.zeros(*clean.shape, vocab_size + 1, dtype=sigma.dtype, device=clean.device)
    law.scatter_(-1, clean[..., None], kept[..., None])
    law[..., vocab_size] = 1 - kept
    return law


def score_of_masked(log_probs: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Score at the mask state from the law of the clean token given all visible ones.

    p_t(y) / p_t(mask) = P(clean token is y | visible) / (exp(sigma) - 1): time
    enters as a factor only, so a network need only supply the law.

    Parameters
    ----------
    log_probs : torch.Tensor [..., vocab]
        Normalised.
    sigma : torch.Tensor, broadcastable to the leading axes of log_probs

    Returns
    -------
    torch.Tensor [..., vocab + 1]
        1 at the mask.

    Notes
    -----
    Ou et al., "Your Absorbing Discrete Diffusion Secretly Models the
    Conditional Distributions of Clean Data", arXiv:2406.03736, theorem 1.
    """
    ratios = log_probs.exp() / torch.expm1(sigma)[..., None]
    return torch.cat([ratios, torch.ones_like(ratios[..., :1])], dim=-1)


def staggered_score(score: torch.Tensor, sigma_step: torch.Tensor) -> torch.Tensor:
    """exp(-sigma_step Q) applied to the score: the first factor of SEDD, equation 19.

    Parameters
    ----------
    score : torch.Tensor [..., vocab + 1]
    sigma_step : torch.Tensor, broadcastable to the leading axes
        Noise taken away in the step.

    Returns
    -------
    torch.Tensor [..., vocab + 1]
        e^s score, and (1 - e^s) times the score's sum added at the mask.
    """
    grown = torch.exp(sigma_step)[..., None]
    result = score * grown
    result[..., -1:] += (1 - grown) * score.sum(-1, keepdim=True)
    return result


def transposed_transition(
    state: torch.Tensor, sigma_step: torch.Tensor, vocab_size: int
) -> torch.Tensor:
    """exp(sigma_step Q)(state, y) for every y: how each y would have become the state.

    Returns
    -------
    torch.Tensor [..., vocab_size + 1]
        e^-s at the state itself; 1 - e^-s more everywhere if the state is the mask.
    """
    shrunk = torch.exp(-sigma_step).expand(state.shape)[..., None]
    own = torch.nn.functional.one_hot(state, vocab_size + 1).to(shrunk.dtype) * shrunk
    return own + (1 - shrunk) * (state == vocab_size)[..., None]


def reverse_law(score: torch.Tensor, state: torch.Tensor, sigma_step: torch.Tensor) -> torch.Tensor:
    """Law of the state one reverse step earlier (Tweedie tau-leaping, SEDD equation 19).

    Exact for one position when the score is; several positions of one step are
    independent given the state.

    Parameters
    ----------
    score : torch.Tensor [..., vocab + 1]
    state : torch.Tensor [...], int64
    sigma_step : torch.Tensor, broadcastable to state
        At most the noise the score was taken at.

    Returns
    -------
    torch.Tensor [..., vocab + 1]
        Adds up to 1 where the score is 1 at the state.
    """
    steps = transposed_transition(state, sigma_step, score.shape[-1] - 1)
    return staggered_score(score, sigma_step.expand(state.shape)) * steps


def unmask_chance(sigma: float, sigma_step: float) -> float:
    """Chance that a masked position gets a token in a reverse step, by the exact score.

    (e^step - 1) / (e^sigma - 1): under the log-linear schedule the share of
    time left that the step takes.
    """
    return math.expm1(sigma_step) / math.expm1(sigma)
