"""Given the token at a position, as which child of a tree did it come?

Children drawn from the draft's law without replacement are judged one after
the other (recursive rejection); each rejection changes both laws.
"""

import torch


def kept_child_chances(
    target_law: torch.Tensor,
    draft_law: torch.Tensor,
    tokens: torch.Tensor,
    width: int,
    generator: torch.Generator,
    repeats: int = 16,
) -> torch.Tensor:
    """P(the emitted token came as kept child number 1, 2, ... width | it was emitted).

    Parameters
    ----------
    target_law, draft_law : torch.Tensor [n, vocab]
        p and q of n positions; rows sum to 1. [unitless]
    tokens : torch.Tensor [n], int64
        Emitted there, so p(token) > 0.
    width : int, >= 1
        Children. [tokens]
    generator : torch.Generator
        On the CPU; draws rejected siblings from the third child on.
    repeats : int, >= 1
        Sequences of rejected siblings drawn per position.

    Returns
    -------
    torch.Tensor [n, width], float64
        Rows sum to at most 1 but for the error of sampling. [unitless]

    Raises
    ------
    ValueError
        If width or repeats is below 1, or a token has probability 0.

    Notes
    -----
    Equations (M3.3) and (M3.4) in docs/model.md, for the rule of
    ``engine.verification.recursive_rejection``. The first child is exact:
    min(1, q/p). So is the second, a sum over the first one rejected. From the
    third on the sum over the last sibling is exact and the earlier ones are
    drawn, each sequence carrying the mass of its rejections: unbiased.

    Examples
    --------
    >>> p, q = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.8, 0.2]])
    >>> token, generator = torch.tensor([1]), torch.Generator()
    >>> [round(c, 6) for c in kept_child_chances(p, q, token, 2, generator)[0].tolist()]
    [0.4, 0.6]
    """
    for name, value in (("width", width), ("repeats", repeats)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    column = tokens[:, None]
    p_x = target_law.gather(1, column)
    if (p_x <= 0).any():
        raise ValueError(f"a token was emitted whose probability is {float(p_x.min()):g}, not > 0")
    chances = [torch.minimum(draft_law.gather(1, column), p_x)]
    x = column[:, None]  # [n, 1, 1]: in front of the vocabulary stand the drawn sequences
    left, residual = draft_law[:, None], target_law[:, None]
    mass = torch.ones_like(p_x)  # [n, sequences], P(all siblings so far were rejected)
    for rank in range(1, width):
        refused = (left - residual).clamp_(min=0).scatter_(2, x.expand(-1, left.shape[1], 1), 0.0)
        total = refused.sum(-1)
        left_x = left.gather(2, x.expand(-1, left.shape[1], 1))
        residual = _renewed(residual, left)
        residual_x = residual.gather(2, x.expand(-1, left.shape[1], 1))
        # the token's chance among the rest, whichever sibling was refused
        among_rest = left_x / (1 - left).clamp_(min=torch.finfo(left.dtype).tiny)
        kept = (refused * torch.minimum(among_rest, residual_x)).sum(-1)
        chances.append((mass * kept).mean(1, keepdim=True))
        if rank + 1 < width:
            draws = repeats // left.shape[1]
            siblings = _drawn(refused, draws, generator)
            left, residual = _repeated(left, draws), _repeated(residual, draws)
            mass = _repeated((mass * total)[..., None], draws)[..., 0]
            left = left.scatter(2, siblings[..., None], 0.0)
            left /= left.sum(-1, keepdim=True).clamp_(min=torch.finfo(left.dtype).tiny)
    return (torch.cat(chances, dim=1) / p_x).double()


def _renewed(residual: torch.Tensor, left: torch.Tensor) -> torch.Tensor:
    """norm(max(0, r - q)); r itself where nothing is left, which has no chance to matter."""
    rest = (residual - left).clamp_(min=0)
    total = rest.sum(-1, keepdim=True)
    return torch.where(total > 0, rest / total, residual)


def _drawn(weights: torch.Tensor, draws: int, generator: torch.Generator) -> torch.Tensor:
    """Stratified draws [n, sequences * draws] in proportion to weights [n, sequences, vocab]."""
    rows, sequences, vocab = weights.shape
    cumulative = weights.cumsum(-1, dtype=torch.float64)
    uniforms = torch.rand(rows, sequences, draws, generator=generator, dtype=torch.float64)
    places = (torch.arange(draws) + uniforms).to(weights.device) / draws * cumulative[..., -1:]
    drawn = torch.searchsorted(cumulative, places, right=True).clamp_(max=vocab - 1)
    return drawn.reshape(rows, sequences * draws)


def _repeated(values: torch.Tensor, draws: int) -> torch.Tensor:
    return values.repeat_interleave(draws, dim=1)
