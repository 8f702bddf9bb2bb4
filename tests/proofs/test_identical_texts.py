"""Every lossless method writes the very text of autoregressive decoding: 100 prompts × 128 tokens.

Hours of decoding, so left out of the ordinary run: ``pytest -m proof -s tests/proofs``. Greedy
texts at temperature 0; with coupled sampling the texts of the same seed at 0.7 and 1.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from engine.decode import Request, rule_of
from engine.model import DEFAULT_DRAFT, DEFAULT_TARGET, Model, load_model
from engine.prompts import read_prompts
from engine.sampling import Sampling
from profiler.catalogue import MAKERS, catalogue
from profiler.methods import AUTOREGRESSIVE, Method

HUMANEVAL = Path(__file__).parents[3] / "shared" / "data" / "humaneval-100.jsonl"
NEW_TOKENS = 128
TIE = 1e-4
"""Logits closer than this are a tie that float32 forwards of other widths may break."""
FAMILIES = [name for name in MAKERS if name != "autoregressive"]

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(not HUMANEVAL.exists(), reason="the HumanEval prompts are not here"),
]


@cache
def pair() -> tuple[Model, Model]:
    """The embedded pair in float32."""
    target, draft = (
        load_model(name, device="cpu", dtype="float32") for name in (DEFAULT_TARGET, DEFAULT_DRAFT)
    )
    return target, draft


@cache
def requests(temperature: float) -> list[Request]:
    target, _ = pair()
    assert target.tokenizer is not None
    prompts = read_prompts(HUMANEVAL).encode(target.tokenizer)
    sampling = Sampling(temperature)
    return [
        Request(p, NEW_TOKENS, sampling, seed, rule="coupled") for seed, p in enumerate(prompts)
    ]


@cache
def autoregressive_texts(temperature: float) -> list[list[int]]:
    alone = replace(AUTOREGRESSIVE, rule="coupled")
    return [alone.decode(pair()[0], request).tokens for request in requests(temperature)]


def methods(family: str, temperature: float) -> list[Method]:
    """Every drafter and shape once; above temperature 0 the first and the last of a family."""
    found: dict[tuple[int, str], Method] = {}
    for method in catalogue(*pair(), [family]):
        found.setdefault((id(method.drafter), str(method.shape)), replace(method, rule="coupled"))
    every = list(found.values())
    return every if temperature == 0 or len(every) < 3 else [every[0], every[-1]]


@torch.inference_mode()
def gap_where_they_part(request: Request, text: list[int], other: list[int]) -> float:
    """How much better the target likes one text's token than the other's where they part."""
    target, _ = pair()
    place = next(i for i, (a, b) in enumerate(zip(text, other, strict=True)) if a != b)
    tokens = torch.tensor([*request.prompt, *text[:place]])
    logits = target.forward(tokens, target.new_cache(len(tokens)), 1).double()
    if not request.sampling.greedy:
        noise = rule_of(target, request).noise.at(place)  # type: ignore[attr-defined]
        logits = logits / request.sampling.temperature + noise
    return abs(float(logits[0, text[place]] - logits[0, other[place]]))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_texts_are_those_of_autoregressive_decoding(family: str, temperature: float) -> None:
    alone = autoregressive_texts(temperature)
    for method in methods(family, temperature):
        same, ties = 0, []
        for request, expected in zip(requests(temperature), alone, strict=True):
            tokens = method.decode(pair()[0], request).tokens
            if tokens == expected:
                same += 1
            else:
                ties.append(gap_where_they_part(request, expected, tokens))
        print(
            f"T {temperature:g} {method.label}: {same} of {len(alone)} identical, ties {ties}",
            flush=True,
        )
        assert all(gap < TIE for gap in ties)
        assert same >= len(alone) - 2
