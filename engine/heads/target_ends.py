"""The two matrices that heads borrow from their target: embedding and output head."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from engine.errors import InputError
from engine.model import Model


@dataclass(frozen=True)
class TargetEnds:
    """Frozen matrices of a target; no head owns a copy.

    Attributes
    ----------
    embedding : torch.Tensor [vocab, width]
    output : torch.Tensor [vocab, width]
        The output head.
    """

    embedding: torch.Tensor
    output: torch.Tensor

    @classmethod
    def of(cls, target: Model) -> "TargetEnds":
        """The matrices of a loaded target.

        Raises
        ------
        InputError
            If the embedding is not as wide as the hidden states, or the output head has a bias.
        """
        embedding = target.hf.get_input_embeddings().weight.detach()
        head = target.hf.get_output_embeddings()
        output = head.weight.detach()
        if getattr(head, "bias", None) is not None:
            raise InputError(f"heads cannot share the output head of {target.name}: it has a bias")
        if embedding.shape[1] != output.shape[1]:
            raise InputError(
                f"heads cannot share the embedding of {target.name}: it is {embedding.shape[1]} "
                f"wide, hidden states are {output.shape[1]}"
            )
        return cls(embedding, output)

    @property
    def width(self) -> int:
        """Of hidden states and embeddings."""
        return self.output.shape[1]

    @property
    def vocab_size(self) -> int:
        """[tokens]"""
        return self.output.shape[0]

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """Embeddings [..., width] of tokens [...]."""
        return F.embedding(tokens, self.embedding)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits [..., vocab] of hidden states [..., width] behind the final norm."""
        return F.linear(hidden, self.output)
