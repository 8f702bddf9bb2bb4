"""A linear layer with its weight laid out for the machine it runs on.

On a CPU, torch hands a plain weight to the matrix library at every call, which
then spends half of a small product on rearranging it. Here the weight is
rearranged once (oneDNN's blocked layout). A single row in float32 is quicker
with the plain weight, so there both are kept. Elsewhere, and where torch was
built without oneDNN, this is ``torch.nn.functional.linear``.
"""

import torch
import torch.nn.functional as F

TOKENS_HINT = 8
"""Rows the blocked layout is chosen for. Timed in float32 and bfloat16, 1 to 512 rows: with 8
it is as fast as with any other number, and but for a single float32 row nowhere slower
than the plain weight."""


class Linear:
    """x W^T + b for inference. The weight must not change later: what is kept may be a copy.

    Parameters
    ----------
    weight : torch.Tensor [out, in]
    bias : torch.Tensor [out], optional
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        self._bias = None if bias is None else bias.detach()
        self._packed = _packed(weight.detach())
        keep = self._packed is None or weight.dtype == torch.float32
        self._weight = weight.detach().contiguous() if keep else None

    @property
    def is_packed(self) -> bool:
        """Whether the weight could be rearranged."""
        return self._packed is not None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[tokens, out] from x [tokens, in]."""
        if self._weight is None or (self._packed is not None and x.shape[0] != 1):
            return torch.ops.mkldnn._linear_pointwise(x, self._packed, self._bias, "none", [], "")
        return F.linear(x, self._weight, self._bias)

    def plus(self, residual: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """residual [tokens, out] + x W^T + b, in one operator where there is one."""
        if self._weight is None or (self._packed is not None and x.shape[0] != 1):
            return torch.ops.mkldnn._linear_pointwise.binary(
                x, residual, self._packed, self._bias, "add"
            )
        return residual + F.linear(x, self._weight, self._bias)


def _packed(weight: torch.Tensor) -> torch.Tensor | None:
    """The weight in oneDNN's layout; None where that cannot be had, or does not compute x W^T."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return None
    try:
        with torch.inference_mode(False), torch.no_grad():
            plain = weight.clone()
            packed = torch.ops.mkldnn._reorder_linear_weight(plain, TOKENS_HINT)
            probe = torch.ones(1, plain.shape[1], dtype=plain.dtype)
            got = torch.ops.mkldnn._linear_pointwise(probe, packed, None, "none", [], "")
            right = torch.allclose(
                got.float(), F.linear(probe, plain).float(), rtol=0.02, atol=0.02, equal_nan=True
            )
    except (RuntimeError, AttributeError):  # operators of a torch built without oneDNN
        return None
    return packed if right else None
