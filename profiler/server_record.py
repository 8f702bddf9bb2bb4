"""What of a sweep goes into a record."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from engine.prompts import Prompts
from measurements import (
    PromptSet,
    ServedAnswer,
    ServedWave,
    ServerRecord,
    new_record_id,
    utc_now,
)
from profiler.completions import Answer
from profiler.machine import fingerprint, source_commit
from profiler.server_log import Unit, Wave


def server_record(
    units: Sequence[Unit], prompts: Prompts, stated: Mapping[str, Any]
) -> ServerRecord:
    """A record of measured units.

    Parameters
    ----------
    units : sequence of Unit
        At least one.
    prompts : Prompts
    stated : mapping
        Fields of ``ServerRecord`` that no server tells: model, dtype, speculation, draft, and
        settings where something was foretold.
    """
    waves = [_wave(number, wave) for number, unit in enumerate(units) for wave in unit.waves]
    sizes = {a.prompt: a.prompt_tokens for wave in waves for a in wave.answers}
    return ServerRecord(
        id=new_record_id("server", stated["dtype"]),
        created=utc_now(),
        commit=source_commit(),
        machine=fingerprint(torch.device("cpu")),
        prompts=PromptSet(
            name=prompts.name,
            sha256=prompts.sha256,
            num_prompts=len(sizes),
            mean_prompt_tokens=sum(sizes.values()) / len(sizes),
        ),
        new_tokens=sum(waves[0].answers[0].sizes),
        complete=True,
        engine="vLLM",
        engine_version=units[0].version,
        waves=waves,
        **stated,
    )


def text_sha256(tokens: Sequence[int]) -> str:
    """Digest of token ids, to tell texts apart without keeping them.

    Examples
    --------
    >>> text_sha256([1, 2])[:8] == text_sha256((1, 2))[:8] != text_sha256([12])[:8]
    True
    """
    return hashlib.sha256(",".join(map(str, tokens)).encode()).hexdigest()


def _wave(unit: int, wave: Wave) -> ServedWave:
    begin = min(answer.sent for answer in wave.answers)
    return ServedWave(
        unit=unit,
        num_draft_tokens=wave.num_draft_tokens,
        batch=wave.batch,
        answers=[
            _answer(prompt, answer, begin)
            for prompt, answer in zip(wave.prompts, wave.answers, strict=True)
        ],
        drafts=wave.counted.drafts,
        drafted=wave.counted.drafted,
        accepted_by_position=list(wave.counted.accepted),
        decode_s=wave.counted.decode_seconds if wave.counted.requests == wave.batch else None,
    )


def _answer(prompt: int, answer: Answer, begin: float) -> ServedAnswer:
    return ServedAnswer(
        prompt=prompt,
        prompt_tokens=answer.prompt_tokens,
        sent_s=round(answer.sent - begin, 6),
        arrivals_s=[round(at - begin, 6) for at in answer.arrivals],
        sizes=list(answer.sizes),
        text_sha256=text_sha256(answer.tokens),
    )
