import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from engine.errors import InputError
from engine.sampling import Sampling, distribution, draw


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "sampling",
    [Sampling(0.7), Sampling(1.0, top_k=5), Sampling(1.3, top_p=0.8), Sampling(0.9, 7, 0.6)],
    ids=lambda s: s.label,
)
def test_warps_equal_those_of_transformers(sampling: Sampling, seed: int) -> None:
    logits = 3 * torch.randn(4, 40, generator=torch.Generator().manual_seed(seed))
    expected = TemperatureLogitsWarper(sampling.temperature)(None, logits)
    if sampling.top_k:
        expected = TopKLogitsWarper(sampling.top_k)(None, expected)
    if sampling.top_p:
        expected = TopPLogitsWarper(sampling.top_p)(None, expected)
    assert torch.allclose(distribution(logits, sampling), expected.softmax(-1), atol=1e-7)


def test_temperature_zero_is_one_hot_on_the_first_largest_logit() -> None:
    logits = torch.tensor([[1.0, 5.0, 5.0]])
    assert distribution(logits, Sampling()).tolist() == [[0, 1, 0]]


@given(st.lists(st.integers(0, 20), min_size=1, max_size=8).filter(any), st.data())
def test_draw_gives_every_token_exactly_its_mass(weights: list[int], data: st.DataObject) -> None:
    """With integer weights the k-th of sum(weights) equal slices of [0, 1) has a known token."""
    total = sum(weights)
    expected = [token for token, w in enumerate(weights) for _ in range(w)]
    slices = (torch.arange(total, dtype=torch.float64) + 0.5) / total
    probs = torch.tensor(weights, dtype=torch.float64).expand(total, -1)
    assert draw(probs, slices).tolist() == expected


def test_draw_never_returns_a_token_of_zero_probability_at_the_edges() -> None:
    probs = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]])
    edge = torch.tensor([0.0], dtype=torch.float64)
    assert draw(probs, edge).tolist() == [1]
    assert draw(probs, torch.tensor([math.nextafter(1, 0)], dtype=torch.float64)).tolist() == [3]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -0.1}, "temperature must be finite and >= 0, not -0.1"),
        ({"temperature": math.nan}, "temperature must be finite"),
        ({"top_k": 0}, "top-k must be at least 1, not 0"),
        ({"top_p": 0.0}, r"top-p must be in \(0, 1\], not 0"),
        ({"top_p": 1.5}, r"top-p must be in \(0, 1\], not 1.5"),
    ],
)
def test_settings_outside_their_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Sampling(**settings)
