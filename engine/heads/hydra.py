"""Hydra heads: like Medusa's, but head k also sees the tokens drafted before its own.

Ankner et al., "Hydra: Sequentially-Dependent Draft Heads for Medusa Decoding",
arXiv:2402.05109, section 3: f_k(h, x_0, ..., x_{k-1}), where h belongs to the
last committed token, x_0 is the pending token and x_1 ... are drafts. As in
``engine.heads.medusa``, but the perceptron sees [h; E(x_0); ...; E(x_{k-1})];
embedding E and output head are the target's, frozen and shared.
"""

import torch
import torch.nn.functional as F
from torch import nn

from engine.heads.target_ends import TargetEnds

EPS = 1e-6


class HydraHeads(nn.Module):
    """K perceptrons on the hidden state and the tokens so far.

    Parameters
    ----------
    ends : TargetEnds
    num_heads : int
        Deepest token drafted. [tokens]
    inner : int
        Width of each perceptron's hidden layer.
    """

    kind = "hydra"

    def __init__(self, ends: TargetEnds, num_heads: int = 5, inner: int = 192) -> None:
        super().__init__()
        self.ends, self.num_heads, self.inner = ends, num_heads, inner
        width = ends.width
        self.up = nn.ModuleList(nn.Linear((2 + k) * width, inner) for k in range(num_heads))
        self.down = nn.ParameterList(torch.zeros(width, inner) for _ in range(num_heads))
        self.skip = nn.ParameterList(torch.ones(width) for _ in range(num_heads))
        self.norm = nn.ParameterList(torch.ones(width) for _ in range(num_heads))

    @property
    def config(self) -> dict[str, int]:
        """Arguments that rebuild the module."""
        return {"num_heads": self.num_heads, "inner": self.inner}

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """Embeddings scaled to unit root mean square, as hidden states roughly are."""
        return F.rms_norm(self.ends.embed(tokens), (self.ends.width,))

    def hidden(self, seen: torch.Tensor, depth: int) -> torch.Tensor:
        """What the output head is applied to.

        Parameters
        ----------
        seen : torch.Tensor [..., (1 + depth) * width]
            h and the embeddings of the pending token and of depth - 1 drafts.
        depth : int
            Of the token predicted; 1 follows the pending token.

        Returns
        -------
        torch.Tensor [..., width]
        """
        head, width = depth - 1, self.ends.width
        inside = F.linear(F.silu(self.up[head](seen)), self.down[head])
        mixed = torch.addcmul(inside, seen[..., :width], self.skip[head])
        return F.rms_norm(mixed, (width,), self.norm[head].to(mixed.dtype), EPS)

    def unrolled(
        self, features: torch.Tensor, tokens: torch.Tensor, depth: int
    ) -> list[torch.Tensor]:
        """Hidden states of all depths at all places of texts; see ``MedusaHeads.unrolled``."""
        length = tokens.shape[1]
        embedded = self.embed(tokens).to(features.dtype)
        result = []
        for k in range(1, depth + 1):
            stop = length - k
            parts = [features[:, :stop], *(embedded[:, i : i + stop] for i in range(1, k + 1))]
            result.append(self.hidden(torch.cat(parts, dim=-1), k))
        return result
