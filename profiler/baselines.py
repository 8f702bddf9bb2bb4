"""Transformers' own decoding as a measured baseline.

The traps are handled: drafts are neither cut by a confidence threshold nor
rescheduled, the draft length is set where it is read, and end-of-text does
not stop either side.
"""

import copy
import time
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from engine.model import Model


@dataclass(frozen=True)
class TransformersBaseline:
    """Greedy ``generate()`` of an unmodified pair, without and with assistance.

    Attributes
    ----------
    target, draft : PreTrainedModel
        Share their weights with the models they were made from; only the
        generation settings are their own.
    """

    target: PreTrainedModel
    draft: PreTrainedModel

    @classmethod
    def of(cls, target: Model, draft: Model) -> "TransformersBaseline":
        """Baseline of a loaded pair."""
        return cls(_without_end(target.hf), _without_end(draft.hf))

    def seconds(self, prompt: list[int], new_tokens: int, num_draft_tokens: int) -> float:
        """Wall time of one generation, prompt included. [s]

        Parameters
        ----------
        prompt : list of int
        new_tokens : int
            Tokens generated, exactly. [tokens]
        num_draft_tokens : int
            0 is plain ``generate()``, otherwise assisted. [tokens]
        """
        ids = torch.tensor([prompt], device=self.target.device)
        settings: dict[str, object] = {
            "attention_mask": torch.ones_like(ids),
            "max_new_tokens": new_tokens,
            "do_sample": False,
            "pad_token_id": 0,
        }
        if num_draft_tokens:
            config = self.draft.generation_config
            config.num_assistant_tokens = num_draft_tokens
            config.num_assistant_tokens_schedule = "constant"
            config.assistant_confidence_threshold = 0.0
            settings["assistant_model"] = self.draft
        started = time.perf_counter()
        generated = self.target.generate(ids, **settings)
        if ids.is_cuda:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        assert generated.shape[1] == len(prompt) + new_tokens
        return seconds


def _without_end(model: PreTrainedModel) -> PreTrainedModel:
    shallow = copy.copy(model)
    shallow.generation_config = copy.deepcopy(model.generation_config)
    shallow.generation_config.eos_token_id = None
    return shallow
