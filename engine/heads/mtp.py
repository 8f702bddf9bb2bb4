"""A recurrent multi-token-prediction module: one block, applied once per drafted token.

DeepSeek-AI, "DeepSeek-V3 Technical Report", arXiv:2412.19437, section 2.2:
h' = Block(M [RMSNorm(h); RMSNorm(E(x))]), embedding E and output head shared
with the target. The report trains one module per depth; here one module is
applied to its own output, and trained that way.

Row j of its sequence takes the hidden state of text position j and the token at
j + 1, and predicts the token at j + 2. Rows of committed text carry the
target's hidden states; rows of a draft carry the module's own, and are dropped
when the round ends.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn

from engine.cache import KVCache
from engine.heads.target_ends import TargetEnds
from engine.masks import Layout, causal_mask

EPS = 1e-6
THETA = 10_000.0


class MtpModule(nn.Module):
    """Two norms, a merging matrix, one Llama block, a final norm.

    Parameters
    ----------
    ends : TargetEnds
    attention_heads : int
        Must divide the width.
    intermediate : int
        Width inside the block's perceptron.
    """

    kind = "mtp"

    def __init__(self, ends: TargetEnds, attention_heads: int = 4, intermediate: int = 448) -> None:
        super().__init__()
        width = ends.width
        self.ends, self.attention_heads, self.intermediate = ends, attention_heads, intermediate
        self.head_dim = width // attention_heads
        self.hidden_norm, self.token_norm = _ones(width), _ones(width)
        self.attention_norm, self.mlp_norm, self.norm = _ones(width), _ones(width), _ones(width)
        self.merge = nn.Linear(2 * width, width, bias=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.gate_up = nn.Linear(width, 2 * intermediate, bias=False)
        self.down = nn.Linear(intermediate, width, bias=False)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.down.weight)

    @property
    def config(self) -> dict[str, int]:
        """Arguments that rebuild the module."""
        return {"attention_heads": self.attention_heads, "intermediate": self.intermediate}

    def new_cache(self, capacity: int) -> KVCache:
        """Empty cache for sequences of capacity rows."""
        weight = self.merge.weight
        return KVCache(
            1,
            self.attention_heads,
            self.head_dim,
            capacity,
            dtype=weight.dtype,
            device=weight.device,
        )

    def step(
        self,
        features: torch.Tensor,
        tokens: torch.Tensor,
        cache: KVCache,
        layout: Layout | None = None,
    ) -> torch.Tensor:
        """Append rows to the cache.

        Parameters
        ----------
        features : torch.Tensor [n, width]
        tokens : torch.Tensor [n], int64
        cache : KVCache
        layout : Layout, optional
            Positions and mask; by default each row sees all before it.

        Returns
        -------
        torch.Tensor [n, width]
            Behind the norm: for the output head, and the features of a next step.
        """
        n, past = tokens.shape[0], cache.length
        if layout is None:
            places: slice | torch.Tensor = slice(past, past + n)
            mask = causal_mask(n, past, features.dtype, features.device) if n > 1 else None
        else:
            places, mask = layout.positions, layout.mask
        table = _rotary_table(cache.capacity, self.head_dim, features.dtype, features.device)
        x = self._merge(features, tokens)
        q, k, v = self._project(x, table[0][places], table[1][places])
        keys, values = cache.write(0, k.transpose(0, 1)[None], v.transpose(0, 1)[None])
        cache.advance(n)
        attended = F.scaled_dot_product_attention(q.transpose(0, 1)[None], keys, values, mask)
        return self._finish(x, attended[0].transpose(0, 1).reshape(n, -1))

    def unrolled(
        self, features: torch.Tensor, tokens: torch.Tensor, depth: int
    ) -> list[torch.Tensor]:
        """Hidden states of all depths at all places of known texts; see ``MedusaHeads.unrolled``.

        Step s at row j takes step s - 1's output at row j - 1 and attends to what
        it will find when it drafts: true rows up to j - s + 1, then one row of each step.
        """
        rows = tokens.shape[1] - 1
        cos, sin = _rotary_table(rows, self.head_dim, features.dtype, features.device)
        previous, seen = features[:, :-1], []
        result = []
        for step in range(1, depth + 1):
            x = self._merge(previous, tokens[:, 1:])
            q, k, v = (part.transpose(1, 2) for part in self._project(x, cos, sin))
            seen.append((k, v))
            keys, values = (torch.cat(parts, dim=2) for parts in zip(*seen, strict=True))
            mask = _unrolled_mask(step, rows, x.device)
            attended = F.scaled_dot_product_attention(q, keys, values, mask)
            hidden = self._finish(x, attended.transpose(1, 2).flatten(2))
            result.append(hidden[:, step - 1 :])
            previous = F.pad(hidden, (0, 0, 1, 0))[:, :-1]
        return result

    def _merge(self, features: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        h = _normed(features, self.hidden_norm)
        e = _normed(self.ends.embed(tokens), self.token_norm)
        return self.merge(torch.cat([h, e], dim=-1))

    def _project(
        self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries and keys with their positions, and values, each [..., n, heads, head_dim]."""
        heads = self.attention_heads
        qkv = self.qkv(_normed(x, self.attention_norm)).unflatten(-1, (3 * heads, self.head_dim))
        qk, v = qkv[..., : 2 * heads, :], qkv[..., 2 * heads :, :]
        qk = torch.addcmul(qk * cos, qk.roll(self.head_dim // 2, -1), sin)
        return qk[..., :heads, :], qk[..., heads:, :], v

    def _finish(self, x: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        x = x + self.out(attended)
        gate, up = self.gate_up(_normed(x, self.mlp_norm)).chunk(2, dim=-1)
        x = x + self.down(F.silu(gate) * up)
        return _normed(x, self.norm)


def _ones(width: int) -> nn.Parameter:
    return nn.Parameter(torch.ones(width))


def _normed(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Root-mean-square norm in the dtype of x, which may be lower than the weight's in training."""
    return F.rms_norm(x, weight.shape, weight.to(x.dtype), EPS)


@lru_cache(maxsize=8)
def _rotary_table(
    length: int, head_dim: int, dtype: torch.dtype, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and sign-folded sine, each [length, 1, head_dim]; see ``engine.lean``."""
    half = head_dim // 2
    with torch.inference_mode(False):  # training takes the same tables as decoding
        rates = THETA ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.arange(length, dtype=torch.float64)[:, None, None] * rates
        cos, sin = angles.cos(), angles.sin()
        cos, sin = torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)
        return cos.to(device, dtype), sin.to(device, dtype)


@lru_cache(maxsize=16)
def _unrolled_mask(step: int, rows: int, device: torch.device) -> torch.Tensor:
    """bool [rows, step * rows]: the true rows, then one row of every later step."""
    back = torch.arange(rows)[:, None] - torch.arange(rows)  # how far a column lies behind a row
    blocks = [back >= step - 1, *(back == step - s for s in range(2, step + 1))]
    return torch.cat(blocks, dim=1).to(device)
