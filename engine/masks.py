"""Attention masks over a cache, additive and in the model's dtype."""

import torch


def causal_mask(n: int, past: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Additive mask: row i of n new tokens sees the past and the new tokens up to itself.

    Returns
    -------
    torch.Tensor [n, past + n]
        0 where attention is allowed, the dtype's lowest value elsewhere. A
        boolean mask is silently wrong under eager attention.

    Examples
    --------
    >>> (causal_mask(2, 1, torch.float32, torch.device("cpu")) == 0).tolist()
    [[True, True, False], [True, True, True]]
    """
    mask = torch.full((n, past + n), torch.finfo(dtype).min, dtype=dtype, device=device)
    return mask.triu_(past + 1)
