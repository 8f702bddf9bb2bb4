"""How often would a drafted token be accepted? One autoregressive trace tells.

The target decodes alone; the draft runs beside it over the same text. At every
position both distributions are known, so the acceptance of a chain of any
length follows without decoding again (equation M1 in docs/model.md).
"""

import numpy as np
import pandas as pd
import torch

from engine.decode import Request, autoregressive_round, rule_of
from engine.model import Model
from engine.sampling import distribution

TOP_TOKENS = 16


@torch.inference_mode()
def trace_prompt(target: Model, draft: Model, request: Request, prompt_index: int) -> pd.DataFrame:
    """Decode one prompt with the target and log what the draft would have said.

    Parameters
    ----------
    target, draft : Model
    request : Request
        The text is the one ``decode_autoregressive`` gives for the same request.
    prompt_index : int
        Goes into the column ``prompt``.

    Returns
    -------
    pandas.DataFrame
        Columns of ``measurements.TRACE_SCHEMA``, one row per generated token.
        Rank, entropy and top tokens are of the draft's unwarped distribution.
    """
    rule = rule_of(target, request)
    target_cache, draft_cache = (
        target.new_cache(request.capacity),
        draft.new_cache(request.capacity),
    )
    if len(request.prompt) > 1:
        tokens = torch.tensor(request.prompt[:-1], device=target.device)
        target.forward(tokens, target_cache, 0)
        draft.forward(tokens, draft_cache, 0)
    pending = torch.tensor(request.prompt[-1:], device=target.device)
    drafted: list[torch.Tensor] = []
    verified: list[torch.Tensor] = []
    chosen: list[int] = []
    while len(chosen) < request.max_new_tokens:
        drafted.append(draft.forward(pending, draft_cache, 1))
        done, pending = autoregressive_round(
            target, target_cache, pending, rule, len(chosen), None, keep_logits=verified.append
        )
        chosen.append(done.tokens[0])
        if done.tokens[0] == request.stop_token:
            break
    return _rows(
        torch.cat(verified), torch.cat(drafted), torch.tensor(chosen), request, prompt_index
    )


def _rows(
    target_logits: torch.Tensor,
    draft_logits: torch.Tensor,
    tokens: torch.Tensor,
    request: Request,
    prompt_index: int,
) -> pd.DataFrame:
    num_tokens = len(tokens)
    column = tokens[:, None].to(target_logits.device)
    p = distribution(target_logits, request.sampling)
    q = distribution(draft_logits, request.sampling)
    raw = draft_logits.float().softmax(-1)
    own = raw.gather(1, column)
    top = raw.topk(min(TOP_TOKENS, raw.shape[-1]), dim=-1)
    return pd.DataFrame(
        {
            "prompt": prompt_index,
            "position": np.arange(num_tokens),
            "context": len(request.prompt) + np.arange(num_tokens),
            "token": tokens.numpy(),
            "target_prob": p.gather(1, column)[:, 0].double().cpu().numpy(),
            "draft_prob": q.gather(1, column)[:, 0].double().cpu().numpy(),
            "overlap": torch.minimum(p, q).sum(-1).double().cpu().numpy(),
            "draft_rank": (raw > own).sum(-1).cpu().numpy(),
            "draft_entropy": torch.special.entr(raw).sum(-1).cpu().numpy(),
            "draft_top_tokens": list(top.indices.cpu().numpy()),
            "draft_top_probs": list(top.values.cpu().numpy()),
        }
    )
