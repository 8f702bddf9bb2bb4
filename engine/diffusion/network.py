"""The denoiser: a small transformer that fills in a block of masks behind a clean prefix.

Prefix tokens see what came before them and nothing of the block, and do not
depend on the noise: their keys and values are cached, and a denoising step
costs the block's tokens, however long the text. Block rows see the whole
prefix and one another. Embedding and output head are the target's, frozen.

Rows are shifted as in a language model, so that one can be started from: row
0 holds the prefix's last token, row j the block's token j - 1 or a mask, and
each gives the law of the token behind it. (The block's last token is in no
row: what is known of it informs no other.)

This module is what is trained, many blocks of a window at once; decoding runs
engine/diffusion/lean.py, which computes the same.
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

TIME_FEATURES = 32
"""Sines and cosines that encode the noise."""


@dataclass(frozen=True)
class DenoiserConfig:
    """Shape of a denoiser.

    Attributes
    ----------
    vocab_size, width : int
        The target's. [tokens], [units]
    heads, intermediate, layers : int
    max_block : int
        Longest block. [tokens]
    rope_theta, eps : float
        Of rotary positions and of the norms.
    """

    vocab_size: int
    width: int
    heads: int = 4
    intermediate: int = 640
    layers: int = 2
    max_block: int = 16
    rope_theta: float = 10_000.0
    eps: float = 1e-6

    @property
    def head_dim(self) -> int:
        """[units]"""
        return self.width // self.heads

    @property
    def num_norms(self) -> int:
        """Norms whose gain depends on the noise: two per layer and the last."""
        return 2 * self.layers + 1


class Layer(nn.Module):
    """Weights of one block in Llama's layout, projections fused."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        width, wide = config.width, config.intermediate

        def matrix(rows: int, columns: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, columns) * 0.02)

        self.qkv, self.out = matrix(3 * width, width), matrix(width, width)
        self.gate_up, self.down = matrix(2 * wide, width), matrix(width, wide)


class Denoiser(nn.Module):
    """Law of every masked token of a block, given the prefix and the block's visible tokens.

    Parameters
    ----------
    config : DenoiserConfig
    embedding, head : torch.Tensor [vocab, width]
        The target's; neither trained nor saved.
    """

    embedding: torch.Tensor
    head: torch.Tensor

    def __init__(self, config: DenoiserConfig, embedding: torch.Tensor, head: torch.Tensor) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("embedding", embedding.detach(), persistent=False)
        self.register_buffer("head", head.detach(), persistent=False)
        self.mask = nn.Parameter(torch.zeros(config.width))
        offsets = 0.02 * torch.randn(config.max_block, config.width)
        offsets[0] = 0.0  # row 0 starts as a language model's
        self.offset_embed = nn.Parameter(offsets)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        # three axes: these are gains, not a matrix that Muon may rotate
        self.norms = nn.Parameter(torch.ones(config.num_norms, 1, config.width))
        self.time_in = nn.Linear(TIME_FEATURES, 32)
        self.time_out = nn.Linear(32, config.num_norms * config.width, bias=False)
        nn.init.zeros_(self.time_out.weight)

    @property
    def blocks(self) -> list[Layer]:
        """The layers, typed."""
        return cast(list[Layer], list(self.layers))

    def gains(self, sigma: torch.Tensor) -> torch.Tensor:
        """Gains of all norms for block tokens at noise sigma [...]: [..., norms, width]."""
        change = self.time_out(F.silu(self.time_in(time_features(sigma))))
        shape = (*sigma.shape, self.config.num_norms, self.config.width)
        return self.norms[:, 0] * (1 + change.view(shape))

    def forward(
        self,
        prefix: torch.Tensor,
        blocks: torch.Tensor,
        starts: torch.Tensor,
        sigma: torch.Tensor,
    ) -> torch.Tensor:
        """Hidden states of many blocks, each behind its own prefix of one window.

        Parameters
        ----------
        prefix : torch.Tensor [batch, length], int64
            The clean window.
        blocks : torch.Tensor [batch, num_blocks, size], int64
            vocab_size where masked.
        starts : torch.Tensor [num_blocks], int64, >= 1
            Block k stands behind the window's first starts[k] tokens.
        sigma : torch.Tensor [batch, num_blocks]

        Returns
        -------
        torch.Tensor [batch, num_blocks, size, width]
            Behind the last norm: times the head they are logits.
        """
        batch, length = prefix.shape
        _, num_blocks, size = blocks.shape
        x = torch.cat(
            [F.embedding(prefix, self.embedding), self._inputs(prefix, blocks, starts)], 1
        )
        of_blocks = self.gains(sigma).repeat_interleave(
            size, dim=1
        )  # [batch, tokens, norms, width]
        of_prefix = self.norms[:, 0].expand(batch, length, -1, -1)
        gains = torch.cat([of_prefix, of_blocks], dim=1)
        mask = window_mask(length, starts, size)
        places = starts[:, None] - 1 + torch.arange(size, device=starts.device)
        positions = torch.cat([torch.arange(length, device=starts.device), places.flatten()])
        cos, sin = rotary_table(positions, self.config.head_dim, self.config.rope_theta)
        for index, layer in enumerate(self.blocks):
            h = F.rms_norm(x, (x.shape[-1],), eps=self.config.eps) * gains[:, :, 2 * index]
            x = x + self._attend(layer, h, cos, sin, mask)
            h = F.rms_norm(x, (x.shape[-1],), eps=self.config.eps) * gains[:, :, 2 * index + 1]
            gate, up = F.linear(h, layer.gate_up).chunk(2, dim=-1)
            x = x + F.linear(F.silu(gate) * up, layer.down)
        x = F.rms_norm(x[:, length:], (x.shape[-1],), eps=self.config.eps) * of_blocks[:, :, -1]
        return x.view(batch, num_blocks, size, -1)

    def _inputs(
        self, prefix: torch.Tensor, blocks: torch.Tensor, starts: torch.Tensor
    ) -> torch.Tensor:
        """Embeddings of block rows; a masked one stands on its prefix's last token."""
        last = prefix[:, starts - 1, None]
        held = torch.cat([last, blocks[..., :-1]], dim=-1)
        is_masked = (held == self.config.vocab_size)[..., None]
        shown = F.embedding(held.clamp(max=self.config.vocab_size - 1), self.embedding)
        x = torch.where(is_masked, F.embedding(last, self.embedding) + self.mask, shown)
        return (x + self.offset_embed[: blocks.shape[2]]).flatten(1, 2)

    def _attend(
        self,
        layer: Layer,
        h: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        mask: torch.Tensor,
    ) -> torch.Tensor:
        batch, n, width = h.shape
        qkv = F.linear(h, layer.qkv).view(batch, n, 3, self.config.heads, -1)
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))
        half = self.config.head_dim // 2
        q, k = (x * cos + x.roll(half, -1) * sin for x in (q, k))
        q, k = q.to(v.dtype), k.to(v.dtype)
        out = F.scaled_dot_product_attention(q, k, v, mask.to(v.dtype))
        return F.linear(out.transpose(1, 2).reshape(batch, n, width), layer.out)


def time_features(sigma: torch.Tensor) -> torch.Tensor:
    """Sines and cosines of sigma [...] at geometric frequencies, [..., TIME_FEATURES]."""
    half = TIME_FEATURES // 2
    steps = torch.arange(half, device=sigma.device, dtype=sigma.dtype) / half
    angles = sigma[..., None] * torch.exp(-math.log(100.0) * steps)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def rotary_table(
    positions: torch.Tensor, head_dim: int, theta: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and sign-folded sine [positions, head_dim], float32; see ``engine.lean``."""
    pairs = torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32)
    angles = positions[:, None].float() * theta ** (-pairs / head_dim)
    return angles.cos().repeat(1, 2), torch.cat([-angles.sin(), angles.sin()], dim=-1)


def window_mask(length: int, starts: torch.Tensor, size: int) -> torch.Tensor:
    """Additive mask of a window and its blocks, float32 [tokens, tokens].

    Window tokens see the window up to themselves; block k sees the window's
    first starts[k] tokens and itself.

    Examples
    --------
    >>> (window_mask(2, torch.tensor([1]), 2) == 0).int().tolist()
    [[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 1], [1, 0, 1, 1]]
    """
    device = starts.device
    owner = torch.arange(len(starts), device=device).repeat_interleave(size)
    order = torch.arange(length, device=device)
    window = torch.cat(
        [order <= order[:, None], torch.zeros(length, len(owner), dtype=torch.bool, device=device)],
        dim=1,
    )
    blocks = torch.cat(
        [order < starts[owner][:, None], owner == owner[:, None]],
        dim=1,
    )
    sees = torch.cat([window, blocks])
    mask = torch.zeros(sees.shape, device=device)
    return mask.masked_fill(~sees, torch.finfo(torch.float32).min)
