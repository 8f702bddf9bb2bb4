"""The unmodified Transformers forward over our cache: oracle, and fallback for other families."""

import torch
from transformers import PreTrainedModel

from engine.cache import KVCache, as_transformers_cache
from engine.errors import InputError
from engine.masks import causal_mask


class TransformersForward:
    """Runs any causal LM whose layers all use full attention over a KVCache.

    Attributes
    ----------
    context : int
        Longest sequence the model's positions allow. [tokens]

    Raises
    ------
    InputError
        If the model has layers a plain key/value cache cannot roll back.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        config = model.config
        kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
        window = getattr(config, "sliding_window", None)
        if kinds != {"full_attention"} or (window and getattr(config, "use_sliding_window", True)):
            raise InputError(
                f"model type '{config.model_type}' has layers other than full attention "
                f"({', '.join(sorted(kinds))}); its cache cannot be rolled back"
            )
        self.model = model
        self.context = config.max_position_embeddings

    def forward(self, tokens: torch.Tensor, cache: KVCache, num_logits: int) -> torch.Tensor:
        """Append tokens [num_tokens] to the cache; last num_logits rows, [num_logits, vocab].

        Masks and positions are passed explicitly, so that the model neither
        builds its own nor mistakes repeated positions for packed sequences.
        """
        n, past = tokens.shape[0], cache.length
        mask = causal_mask(n, past, self.model.dtype, tokens.device)[None, None]
        positions = torch.arange(past, past + n, device=tokens.device)[None]
        output = self.model(
            input_ids=tokens[None],
            attention_mask=mask,
            position_ids=positions,
            past_key_values=as_transformers_cache(cache),
            use_cache=True,
            logits_to_keep=max(1, num_logits),
        )
        cache.advance(n)
        logits: torch.Tensor = output.logits[0]
        return logits[logits.shape[0] - num_logits :]
