"""Attention of new tokens over a cache, for the lean forwards.

An object is made once per forward: every view of the cache that the layers
need is cut then, all layers at a time.
"""

import torch
import torch.nn.functional as F

from engine.cache import KVCache


class CachedAttention:
    """n new tokens of one text attend over a KVCache, and are written to it on the way.

    Parameters
    ----------
    cache : KVCache
        Of batch size 1. Attention runs in its dtype.
    num_tokens : int
        New tokens. [tokens]
    mask : torch.Tensor [num_tokens, length + num_tokens] or None
        Additive, in the cache's dtype; None: every new token sees everything.
    """

    def __init__(self, cache: KVCache, num_tokens: int, mask: torch.Tensor | None) -> None:
        past, end = cache.length, cache.length + num_tokens
        self.dtype = cache.keys.dtype
        self._slots = cache.both[:, :, 0, :, past:end].unbind(1)  # [2, kv_heads, n, dim] each
        self._keys = cache.keys[:, :, :, :end].unbind(0)  # [1, kv_heads, end, dim] each
        self._values = cache.values[:, :, :, :end].unbind(0)
        self._mask = mask

    def __call__(
        self, layer: int, q: torch.Tensor, kv: torch.Tensor, scale: float | None = None
    ) -> torch.Tensor:
        """Write kv [n, 2, kv_heads, dim], attend with q [n, heads, dim]: [n, heads * dim]."""
        self._slots[layer].copy_(kv.permute(1, 2, 0, 3))
        out = attend(q[None], self._keys[layer], self._values[layer], self._mask, scale)
        return out[0]


def attend(
    q: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float | None = None,
) -> torch.Tensor:
    """Scaled dot-product attention; query heads may share key heads.

    Parameters
    ----------
    q : torch.Tensor [batch, n, heads, dim]
    keys, values : torch.Tensor [batch, kv_heads, length, dim]
    mask : torch.Tensor [n, length] or [batch, 1, n, length], or None
        Additive, in the dtype of q.
    scale : float, optional
        Of the scores; 1 / sqrt(dim) by default.

    Returns
    -------
    torch.Tensor [batch, n, heads * dim]
    """
    batch, n, heads, dim = q.shape
    kv_heads = keys.shape[1]
    if heads == kv_heads:
        out = F.scaled_dot_product_attention(q.transpose(1, 2), keys, values, mask, scale=scale)
        return out.transpose(1, 2).reshape(batch, n, -1)
    # grouped queries share keys: fold the group into the query axis
    groups = heads // kv_heads
    folded = q.reshape(batch, n, kv_heads, groups, dim).permute(0, 2, 3, 1, 4)
    folded = folded.reshape(batch, kv_heads, groups * n, dim)
    if mask is not None:
        mask = torch.cat([mask] * groups, dim=-2)
    out = F.scaled_dot_product_attention(folded, keys, values, mask, scale=scale)
    out = out.view(batch, kv_heads, groups, n, dim).permute(0, 3, 1, 2, 4)
    return out.reshape(batch, n, -1)
