"""What the denoiser is trained on: score entropy.

Lou, Meng, Ermon, arXiv:2310.16834: definition 3.1 (score entropy), theorem 3.4
(denoising score entropy), equation 10 (its weighting over time, DWDSE).
"""

import torch

from engine.diffusion.noise import noise_rate, total_noise


def score_entropy(log_score: torch.Tensor, ratio: torch.Tensor) -> torch.Tensor:
    """sum_y s_y - r_y log s_y + K(r_y), with K(a) = a (log a - 1).

    Never negative, and 0 only where the score equals the ratio.

    Parameters
    ----------
    log_score : torch.Tensor [..., states]
        Finite where the ratio is positive.
    ratio : torch.Tensor [..., states], >= 0
        p_t(y) / p_t(x), or of the laws given the clean token for the denoising form.

    Returns
    -------
    torch.Tensor [...]
    """
    constant = torch.xlogy(ratio, ratio) - ratio
    return (log_score.exp() - ratio * log_score + constant).sum(-1)


def denoising_score_entropy(
    log_probs: torch.Tensor, clean_law: torch.Tensor, t: torch.Tensor
) -> torch.Tensor:
    """DWDSE integrand of masked positions under the absorbing graph.

    Equals noise_rate(t) * score_entropy(log_probs - log(e^sigma - 1),
    clean_law / (e^sigma - 1)). As both laws are normalised this is
    KL(clean_law || probs) times rate / (e^sigma - 1), which is 1 / t: the
    expectation over t and over what is masked counts every token once.

    Parameters
    ----------
    log_probs : torch.Tensor [..., vocab]
        The denoiser's law of the clean token, normalised.
    clean_law : torch.Tensor [..., vocab]
        One-hot on the clean token; or the law it was drawn from, given at least what the
        denoiser sees, which has the same expectation and less variance.
    t : torch.Tensor [...], in (0, 1]

    Returns
    -------
    torch.Tensor [...]
        [nats]
    """
    divergence = (torch.xlogy(clean_law, clean_law) - clean_law * log_probs).sum(-1)
    return noise_rate(t) / torch.expm1(total_noise(t)) * divergence
