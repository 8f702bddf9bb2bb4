"""Medusa heads: each sees the target's last hidden state and predicts one token further.

Cai et al., "Medusa", arXiv:2401.10774, section 2.1.1: head k = V (SiLU(W1 h) + h),
and each head has a vocabulary matrix V of its own. Here the target's frozen
output head serves all of them, which keeps K heads small. It expects states
like those behind the target's final norm, and V can no longer make up for
SiLU, which hardly lowers a coordinate; hence head k =
V norm(W2 SiLU(W1 h) + s h), with a scale s per coordinate and r hidden units.

With h of the last committed token, the target itself predicts the pending
token; head 1 predicts the token behind that, head k the k-th.
"""

import torch
import torch.nn.functional as F
from torch import nn

from engine.heads.target_ends import TargetEnds

EPS = 1e-6


class MedusaHeads(nn.Module):
    """K perceptrons behind one hidden state, all with the target's output head.

    Parameters
    ----------
    ends : TargetEnds
    num_heads : int
        Deepest token drafted. [tokens]
    inner : int
        Width of each perceptron's hidden layer.
    """

    kind = "medusa"

    def __init__(self, ends: TargetEnds, num_heads: int = 5, inner: int = 192) -> None:
        super().__init__()
        self.ends, self.num_heads, self.inner = ends, num_heads, inner
        # the heads stand one behind the other, so that one product serves all
        self.up = nn.Linear(ends.width, num_heads * inner)
        self.down = nn.Parameter(torch.zeros(num_heads * ends.width, inner))
        self.skip = nn.Parameter(torch.ones(num_heads * ends.width))
        self.norm = nn.Parameter(torch.ones(num_heads * ends.width))

    @property
    def config(self) -> dict[str, int]:
        """Arguments that rebuild the module."""
        return {"num_heads": self.num_heads, "inner": self.inner}

    def hidden(self, features: torch.Tensor, count: int) -> torch.Tensor:
        """What the output head is applied to.

        Parameters
        ----------
        features : torch.Tensor [n, width]
        count : int
            Heads wanted, from the first.

        Returns
        -------
        torch.Tensor [count, n, width]
        """
        wide = count * self.inner
        inside = F.silu(F.linear(features, self.up.weight[:wide], self.up.bias[:wide]))
        inside = inside.view(-1, count, self.inner).transpose(0, 1)
        width = self.ends.width
        down = self.down.view(self.num_heads, width, self.inner)[:count]
        skip, norm = (v.view(-1, 1, width)[:count] for v in (self.skip, self.norm))
        mixed = torch.addcmul(inside @ down.transpose(1, 2), features, skip)
        return F.rms_norm(mixed, (width,), None, EPS) * norm

    def unrolled(
        self, features: torch.Tensor, tokens: torch.Tensor, depth: int
    ) -> list[torch.Tensor]:
        """Hidden states of all depths at all places of known texts: for training and accuracies.

        Parameters
        ----------
        features : torch.Tensor [batch, length, width]
            The target's last hidden states.
        tokens : torch.Tensor [batch, length], int64
        depth : int

        Returns
        -------
        list of torch.Tensor [batch, length - k, width]
            Entry k - 1 belongs to depth k: its row i drafts from the hidden state of
            position i, given the tokens up to i + k, what the target says behind i + k.
        """
        batch, length, width = features.shape
        hidden = self.hidden(features.reshape(-1, width), depth).view(depth, batch, length, width)
        return [hidden[k - 1, :, : length - k] for k in range(1, depth + 1)]
