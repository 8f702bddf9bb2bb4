"""The unmodified Transformers forward over our cache: oracle, and fallback for other families."""

import torch
from transformers import PreTrainedModel

from engine.batch_cache import BatchStep
from engine.cache import KVCache, as_transformers_cache
from engine.errors import InputError
from engine.masks import Layout, causal_mask


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
        self.cache_dtype = model.dtype

    def forward(
        self,
        tokens: torch.Tensor,
        cache: KVCache,
        num_logits: int,
        layout: Layout | None = None,
        want_features: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Append tokens to the cache; see ``engine.model.Forward``.

        Masks and positions are passed explicitly, so that the model neither
        builds its own nor mistakes repeated positions for packed sequences.
        """
        n, past = tokens.shape[0], cache.length
        if layout is None:
            mask = causal_mask(n, past, self.model.dtype, tokens.device)
            positions = torch.arange(past, past + n, device=tokens.device)
        else:
            mask, positions = layout.mask, layout.positions
        output = self.model(
            input_ids=tokens[None],
            attention_mask=mask[None, None],
            position_ids=positions[None],
            past_key_values=as_transformers_cache(cache),
            use_cache=True,
            output_hidden_states=want_features,
            logits_to_keep=max(1, num_logits),
        )
        cache.advance(n)
        logits: torch.Tensor = output.logits[0]
        # the last entry stands behind the final norm (Llama, GPT-2; pinned by a test)
        features = output.hidden_states[-1][0] if want_features else None
        return logits[logits.shape[0] - num_logits :], features

    def forward_batch(self, tokens: torch.Tensor, step: BatchStep) -> torch.Tensor:
        """Logits [rows, n, vocab] of tokens [rows, n]; see ``engine.model.Forward``."""
        output = self.model(
            input_ids=tokens,
            attention_mask=step.mask,
            # padding may stand behind the last position there is
            position_ids=step.positions.clamp(max=self.context - 1),
            past_key_values=as_transformers_cache(step),
            use_cache=True,
        )
        return output.logits
