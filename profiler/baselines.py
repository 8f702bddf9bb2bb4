"""Transformers' own decoding as a measured engine: plain, assisted, and with prompt lookup.

What would spoil a comparison is settled here. A model's generation settings (end-of-text,
top-k, penalties, a static cache) are left out on both sides; drafts are neither cut by a
confidence threshold nor rescheduled, and their number is set on the assistant, the only place
where it is read; top-k is switched off by name, because it is 50 when nothing is said. There is
no padding token: the assistant would not attend to tokens of the text that equal it
(transformers 5.23 drops a mask of ones, and the assistant guesses its own).
"""

import copy
import time
from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import GenerationConfig, PreTrainedModel
from transformers.generation.streamers import BaseStreamer

from engine.clock import StageClock
from engine.decode import OnRound, Request
from engine.errors import InputError
from engine.events import Generation, Round
from engine.model import Model

Kind = Literal["autoregressive", "chain", "lookup"]
"""Plain ``generate()``, with an assistant model, or with prompt lookup."""

LOOKUP_NGRAM = 3
"""Longest suffix that prompt lookup looks for, as ours does; its own default is 2. [tokens]"""


@dataclass(frozen=True)
class TransformersEngine:
    """``generate()`` of an unmodified pair.

    Attributes
    ----------
    target, draft : PreTrainedModel
        Share their weights with the models they were made from; only the
        generation settings are their own.
    """

    target: PreTrainedModel
    draft: PreTrainedModel

    @classmethod
    def of(cls, target: Model, draft: Model) -> "TransformersEngine":
        """Engine of a loaded pair."""
        return cls(_with_plain_settings(target.hf), _with_plain_settings(draft.hf))

    def generate(
        self,
        request: Request,
        kind: Kind = "autoregressive",
        num_draft_tokens: int = 0,
        streamer: BaseStreamer | None = None,
    ) -> list[int]:
        """Generated tokens, without the prompt; exactly as many as were asked for.

        Parameters
        ----------
        request : Request
            Its rule and candidates are this project's and mean nothing here.
        kind : str
        num_draft_tokens : int
            At least 1 where there are drafts. [tokens]
        streamer : BaseStreamer, optional
            Given the tokens of every round as it ends.
        """
        ids = torch.tensor([request.prompt], device=self.target.device)
        settings = {
            **_sampling_settings(request),
            **self._drafting_settings(kind, num_draft_tokens),
            "attention_mask": torch.ones_like(ids),
            "max_new_tokens": request.max_new_tokens,
            "streamer": streamer,
        }
        drawn = not request.sampling.greedy
        with torch.random.fork_rng(enabled=drawn):
            if drawn:
                torch.manual_seed(request.seed)
            made: list[int] = self.target.generate(ids, **settings)[0].tolist()
        assert len(made) == request.capacity
        return made[len(request.prompt) :]

    def seconds(self, prompt: list[int], new_tokens: int, num_draft_tokens: int) -> float:
        """Wall time of one greedy generation, prompt included. [s]

        Parameters
        ----------
        prompt : list of int
        new_tokens : int
            Tokens generated, exactly. [tokens]
        num_draft_tokens : int
            0 is plain ``generate()``, otherwise assisted. [tokens]
        """
        started = time.perf_counter()
        kind: Kind = "chain" if num_draft_tokens else "autoregressive"
        self.generate(Request(prompt, new_tokens), kind, num_draft_tokens)
        return time.perf_counter() - started

    def decode(
        self,
        request: Request,
        kind: Kind = "autoregressive",
        num_draft_tokens: int = 0,
        *,
        clock: StageClock | None = None,
        on_round: OnRound | None = None,
    ) -> Generation:
        """As ``generate``, with its rounds and their times.

        A round is one forward of the target. The first one holds the prompt, so that
        ``generate()`` has no prefill of its own: ``decode_seconds`` is the time of all other
        rounds times rounds / (rounds - 1), and what is left of the whole counts as prefill.

        Parameters
        ----------
        request, kind, num_draft_tokens
            As in ``generate``.
        clock : StageClock, optional
            Its stages leave nothing out: ``draft`` is a call of the assistant with all that
            leads to it, or the lookup; ``draft_sampling`` what follows the last call;
            ``commit`` what leads to a target's forward without drafts.
        on_round : callable, optional
            Receives every round as it ends; returning False ends the decode.

        Raises
        ------
        InputError
            If the tokens are so few that one round may serve them all.
        """
        if request.max_new_tokens < num_draft_tokens + 2:
            raise InputError(
                f"Transformers' first round holds the prompt; to time another, new tokens must be "
                f"at least {num_draft_tokens + 2} with {num_draft_tokens} drafts, not "
                f"{request.max_new_tokens}"
            )
        listener = _Listener(request, kind, clock, on_round)
        hooks = [
            self.target.register_forward_pre_hook(listener.before_target, with_kwargs=True),
            self.target.register_forward_hook(listener.after_target),
            self.draft.register_forward_hook(listener.after_draft),
        ]
        started = time.perf_counter()
        try:
            self.generate(request, kind, num_draft_tokens, listener)
        except _EnoughError:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        whole = time.perf_counter() - started
        rounds = listener.rounds
        behind = whole - (listener.first_ended - started)
        decode_seconds = behind * len(rounds) / max(1, len(rounds) - 1)
        return Generation(rounds, whole - decode_seconds, decode_seconds, prompt_rounds=1)

    def _drafting_settings(self, kind: Kind, num_draft_tokens: int) -> dict[str, Any]:
        if kind == "autoregressive":
            return {}
        if num_draft_tokens < 1:
            raise InputError(f"draft tokens per round must be at least 1, not {num_draft_tokens}")
        if kind == "lookup":
            return {
                "prompt_lookup_num_tokens": num_draft_tokens,
                "max_matching_ngram_size": LOOKUP_NGRAM,
            }
        config = self.draft.generation_config
        config.num_assistant_tokens = num_draft_tokens
        config.num_assistant_tokens_schedule = "constant"
        config.assistant_confidence_threshold = 0.0
        return {"assistant_model": self.draft}


class _EnoughError(Exception):
    """Ends a ``generate()`` from inside."""


class _Listener(BaseStreamer):
    """Notes the rounds of a ``generate()``: what was drafted, kept and how long it took.

    The target's forwards tell how many tokens were drafted, the streamer what was emitted.
    """

    def __init__(
        self,
        request: Request,
        kind: Kind,
        clock: StageClock | None,
        on_round: OnRound | None,
    ) -> None:
        self.rounds: list[Round] = []
        self.first_ended = 0.0
        self._request, self._kind = request, kind
        self._clock, self._on_round = clock, on_round
        self._began = False
        self._produced = self._drafted = self._calls = 0

    def put(self, value: torch.Tensor) -> None:
        """The prompt, then the tokens of every round."""
        if not self._began:
            self._began = True
            self._start_round()
            return
        tokens = tuple(value.reshape(-1).tolist())
        self._lap("verification" if self._drafted else "sampling", self._drafted + 1)
        kept = len(tokens) - 1
        own = "target" if not self._drafted else "bonus" if kept == self._drafted else "recovered"
        level = "lookup" if self._kind == "lookup" else "draft"
        done = Round(self._produced, self._drafted, kept, tokens, provenance=(*[level] * kept, own))
        self.rounds.append(done)
        self._produced += len(tokens)
        if len(self.rounds) == 1:
            self.first_ended = time.perf_counter()
        if self._on_round is not None and self._on_round(done) is False:
            raise _EnoughError
        if self._produced < self._request.max_new_tokens:
            self._start_round()

    def end(self) -> None:
        """Nothing is held back."""

    def after_draft(self, module: Any, inputs: Any, output: Any) -> None:
        """A call of the assistant ended."""
        self._calls += 1
        self._lap("draft", 1)

    def before_target(self, module: Any, inputs: Any, named: dict[str, Any]) -> None:
        """The drafts are there."""
        seen = len(self._request.prompt) if not self.rounds else 1
        self._drafted = named["input_ids"].shape[1] - seen
        if self._calls:
            self._lap("draft_sampling", self._drafted)
        else:
            self._lap("draft" if self._kind == "lookup" else "commit", self._drafted)

    def after_target(self, module: Any, inputs: Any, output: Any) -> None:
        """The target has judged."""
        self._lap("target", self._drafted + 1)

    def _start_round(self) -> None:
        self._drafted = self._calls = 0
        if self._clock:
            self._clock.start_round()

    def _lap(self, stage: str, num_tokens: int) -> None:
        if self._clock:
            self._clock.lap(stage, num_tokens)


def _sampling_settings(request: Request) -> dict[str, Any]:
    sampling = request.sampling
    if sampling.greedy:
        return {"do_sample": False}
    return {
        "do_sample": True,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k or 0,  # 0 is off; left out, it would be 50
        "top_p": 1.0 if sampling.top_p is None else sampling.top_p,
    }


def _with_plain_settings(model: PreTrainedModel) -> PreTrainedModel:
    shallow = copy.copy(model)
    shallow.generation_config = GenerationConfig()
    return shallow
