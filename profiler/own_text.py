"""What does the target write alone, and what did it see while writing?

Every method's rounds are judged along this text: whatever a lossless method
drafts, what it emits has the law of the text that the target writes alone.
"""

from dataclasses import dataclass

import torch

from engine.decode import Request, check_room, rule_of
from engine.model import Model
from engine.rules import Rule
from engine.sampling import distribution


@dataclass(frozen=True, eq=False)
class OwnText:
    """A text the target wrote, with its logits and hidden states.

    Attributes
    ----------
    request : Request
        What was asked for.
    tokens : torch.Tensor [num_tokens], int64
        Generated, without the prompt.
    logits : torch.Tensor [num_tokens, vocab]
        Of the target; row s is what token s was chosen from.
    prompt_features : torch.Tensor [len(prompt) - 1, width] or None
        Last hidden states of all prompt tokens but the last.
    features : torch.Tensor [num_tokens, width]
        Last hidden states; row s is of the token pending when token s was chosen.
    """

    request: Request
    tokens: torch.Tensor
    logits: torch.Tensor
    prompt_features: torch.Tensor | None
    features: torch.Tensor

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def pending(self, position: int) -> torch.Tensor:
        """The last token [1] in front of a position, read by no model yet."""
        if position == 0:
            return torch.tensor(self.request.prompt[-1:], device=self.tokens.device)
        return self.tokens[position - 1 : position]

    def target_laws(self) -> torch.Tensor:
        """What every token was drawn from [num_tokens, vocab]."""
        return distribution(self.logits, self.request.sampling)


@torch.inference_mode()
def write_alone(target: Model, request: Request, rule: Rule | None = None) -> OwnText:
    """The text of ``decode_autoregressive``, with what it was chosen from.

    Parameters
    ----------
    target : Model
    request : Request
        Its rule says by which randomness tokens are drawn. A stop token does
        not end the text.

    Returns
    -------
    OwnText

    Raises
    ------
    InputError
        If prompt and new tokens do not fit the target.
    """
    check_room(target, request)
    rule = rule or rule_of(target, request)
    cache = target.new_cache(request.capacity)
    prompt_features = None
    if len(request.prompt) > 1:
        tokens = torch.tensor(request.prompt[:-1], device=target.device)
        prompt_features = target.forward_with_features(tokens, cache, 0)[1]
    pending = torch.tensor(request.prompt[-1:], device=target.device)
    chosen: list[torch.Tensor] = []
    logits: list[torch.Tensor] = []
    features: list[torch.Tensor] = []
    for start in range(request.max_new_tokens):
        row, feature = target.forward_with_features(pending, cache, 1)
        rule.begin(start)
        pending = rule.next_token(row)
        logits.append(row)
        features.append(feature)
        chosen.append(pending)
    return OwnText(
        request, torch.cat(chosen), torch.cat(logits), prompt_features, torch.cat(features)
    )
