"""Attention masks over a cache, additive and in the model's dtype."""

from dataclasses import dataclass
from functools import lru_cache

import torch

from engine.trees import Tree


@dataclass(frozen=True)
class Layout:
    """Where new tokens stand and what they see, when that is not simply one behind the other.

    Attributes
    ----------
    positions : torch.Tensor [num_tokens], int64
        Place in the text, counted from 0. [tokens]
    mask : torch.Tensor [num_tokens, past + num_tokens]
        Additive, in the model's dtype.
    """

    positions: torch.Tensor
    mask: torch.Tensor


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


def tree_layout(tree: Tree, past: int, dtype: torch.dtype, device: torch.device) -> Layout | None:
    """Layout of the pending token and a tree of drafts behind ``past`` cached tokens.

    None for a chain: there the causal default is the same and cheaper.
    """
    if tree.is_chain:
        return None
    depths, among = _tree_parts(tree, dtype, device)
    mask = torch.zeros(among.shape[0], past + among.shape[1], dtype=dtype, device=device)
    mask[:, past:] = among
    return Layout(depths + past, mask)


@lru_cache(maxsize=256)
def _tree_parts(
    tree: Tree, dtype: torch.dtype, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Depth of every position, and the additive mask among them."""
    depths = torch.tensor((0, *tree.depths), device=device)
    mask = torch.full(tree.ancestry.shape, torch.finfo(dtype).min, dtype=dtype)
    return depths, mask.masked_fill(tree.ancestry, 0.0).to(device)
