"""Does a model that is run unmodified over our cache compute what it computes alone?

Families differ in how they place tokens: explicit positions, distances between cache slots,
windows, recurrent states. Only the first survive branches and rollback, so every family that the
lean forwards do not know is asked once, when it is loaded.
"""

from typing import TYPE_CHECKING

import torch

from engine.errors import InputError
from engine.masks import tree_layout
from engine.trees import Tree

if TYPE_CHECKING:
    from engine.model import Model

TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.25, torch.float16: 0.1}
"""Largest difference of a logit, relative to the largest logit; by dtype of the weights."""


@torch.inference_mode()
def require_own_logits(model: "Model") -> None:
    """Refuse a model whose logits over a branching, rolled-back cache are not its own.

    Eight tokens, once in one plain forward, once as decoding takes them: a prefill, a draft that
    is dropped, a tree whose first branch is dropped, and two tokens behind the path that was kept.

    Raises
    ------
    InputError
        If a forward fails, or logits differ by more than ``TOLERANCE``.
    """
    kind = model.hf.config.model_type
    text = torch.arange(1, 9, device=model.device) * (model.vocab_size // 10)
    wrong, tree = text[:1], Tree((-1, -1, 1))
    try:
        alone = model.hf(input_ids=text[None], use_cache=False).logits[0]
        cache = model.new_cache(len(text), spare=1)
        first = model.forward(text[:3], cache, 1)
        model.forward(torch.cat([wrong, wrong]), cache, 0)
        cache.rollback(3)
        layout = tree_layout(tree, 3, model.dtype, model.device)
        branches = torch.cat([text[3:4], wrong, text[4:6]])
        path = [0, 2, 3]
        kept = model.forward(branches, cache, 4, layout)[path]
        cache.commit(3, path)
        last = model.forward(text[6:], cache, 2)
    except InputError:
        raise
    except Exception as error:  # a model's own code may raise anything over a cache not its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"model type '{kind}' does not run over our cache: {reason}") from None
    difference = (torch.cat([first, kept, last]).float() - alone[2:].float()).abs().max()
    share = float(difference / alone.float().abs().max())
    if not share <= TOLERANCE[model.dtype]:
        raise InputError(
            f"model type '{kind}' computes other logits over a branching, rolled-back cache than "
            f"alone: {share:.1%} of the largest logit apart, at most "
            f"{TOLERANCE[model.dtype]:.1%} is rounding; its drafts cannot be verified"
        )
