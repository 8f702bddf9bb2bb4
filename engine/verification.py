"""Acceptance rules for a chain of drafted tokens.

Terms: *accepted* tokens are drafts that are kept, the *recovered* token is
drawn from the residual after a rejection, the *bonus* token from the target
when every draft was kept. A round emits the accepted tokens and one of the
other two.

p is the target's distribution and q the draft's, as in Leviathan, Kalman,
Matias, "Fast Inference from Transformers via Speculative Decoding", ICML 2023,
arXiv:2211.17192, algorithm 1.
"""

import torch

from engine.sampling import draw


def verify_greedy(draft_tokens: torch.Tensor, target_logits: torch.Tensor) -> torch.Tensor:
    """Longest prefix of drafts that are the target's own choices.

    Parameters
    ----------
    draft_tokens : torch.Tensor [num_draft_tokens], int64
    target_logits : torch.Tensor [num_draft_tokens + 1, vocab]

    Returns
    -------
    torch.Tensor [3], int64
        num_accepted, the next token, and 1 if every logit row had a finite
        maximum, else 0. Nothing is read back to the host here.
    """
    best, choice = target_logits.max(dim=-1)
    kept = (choice[:-1] == draft_tokens).cumprod(0).sum().reshape(1)
    return torch.cat([kept, choice.gather(0, kept), best.isfinite().all().reshape(1)])


def verify_sampled(
    draft_tokens: torch.Tensor,
    draft_probs: torch.Tensor,
    target_probs: torch.Tensor,
    accept_uniforms: torch.Tensor,
    next_uniform: torch.Tensor,
) -> torch.Tensor:
    """Speculative sampling: emitted tokens follow the target's law exactly.

    Draft token x at position i is kept with probability min(1, p_i(x)/q_i(x)).
    After the first rejection the next token is drawn from
    norm(max(0, p - q)); when all are kept, from p at the last position.

    Parameters
    ----------
    draft_tokens : torch.Tensor [num_draft_tokens], int64
    draft_probs : torch.Tensor [num_draft_tokens, vocab]
        The very vectors the tokens were drawn from.
    target_probs : torch.Tensor [num_draft_tokens + 1, vocab]
    accept_uniforms : torch.Tensor [num_draft_tokens], float64, in [0, 1)
    next_uniform : torch.Tensor [1], float64, in [0, 1)

    Returns
    -------
    torch.Tensor [3], int64
        num_accepted, the next token, and 1 if the law it was drawn from was
        finite, else 0.
    """
    p_x = target_probs[:-1].gather(1, draft_tokens[:, None])[:, 0]
    q_x = draft_probs.gather(1, draft_tokens[:, None])[:, 0]
    kept = (accept_uniforms * q_x < p_x).cumprod(0).sum().reshape(1)
    # a row of zeros behind the last draft makes the residual p itself there
    q_rows = torch.cat([draft_probs, torch.zeros_like(target_probs[:1])])
    p = target_probs.index_select(0, kept)
    residual = (p - q_rows.index_select(0, kept)).clamp_(min=0)
    # p == q up to rounding: a rejection then has probability 0 up to rounding
    residual = torch.where(residual.sum(-1, keepdim=True) > 0, residual, p)
    return torch.cat([kept, draw(residual, next_uniform), residual.isfinite().all().reshape(1)])
