"""Traffic of a round and per emitted token."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.known_models import known_shape
from simulator.roofline import operator_costs, total_cost
from simulator.traffic import calls_cost, implied_mean_emitted, relative_bandwidth, round_traffic

TARGET, DRAFT = known_shape("Llama-3.1-8B"), known_shape("Llama-3.2-1B")
GAMMA, CONTEXT, BATCH = st.integers(0, 16), st.integers(0, 100_000), st.integers(1, 512)


@given(GAMMA, CONTEXT, BATCH)
def test_a_round_is_the_sum_of_its_forwards(gamma, context, batch):
    """Second implementation: every draft call at its own context."""
    traffic = round_traffic(TARGET, DRAFT, gamma, context, batch)
    calls = [total_cost(operator_costs(DRAFT, 1, context + i, batch)) for i in range(gamma)]
    verify = total_cost(operator_costs(TARGET, gamma + 1, context, batch))
    assert traffic.round.bytes == pytest.approx(sum(c.bytes for c in calls) + verify.bytes)
    assert traffic.round.flop == pytest.approx(sum(c.flop for c in calls) + verify.flop)


@given(CONTEXT, BATCH)
def test_no_drafts_move_what_autoregressive_decoding_moves(context, batch):
    assert relative_bandwidth(round_traffic(TARGET, DRAFT, 0, context, batch), 1) == 1


@given(st.integers(1, 16), CONTEXT, BATCH, st.floats(1, 17))
def test_implied_tokens_are_the_inverse(gamma, context, batch, tau):
    traffic = round_traffic(TARGET, DRAFT, gamma, context, batch)
    relative = relative_bandwidth(traffic, tau)
    assert implied_mean_emitted(traffic, relative) == pytest.approx(tau)


@given(st.integers(1, 16), st.integers(0, 4000))
def test_verification_is_as_many_times_as_intense_as_it_has_tokens_at_most(gamma, context):
    """Weights are shared by the tokens; the cache, logits and activations are not."""
    traffic = round_traffic(TARGET, DRAFT, gamma, context)
    ratio = traffic.verification.intensity / traffic.autoregressive.intensity
    assert 1 < ratio < gamma + 1
    assert traffic.verification.intensity > traffic.round.intensity


def test_bandwidth_alone_gives_one_plus_gamma_c_over_tau_for_large_weights():
    """Limit: no cache, weights dwarf activations, draft and target of one width."""
    big = replace(TARGET, vocab_size=2, num_layers=200, dense_layers=200)
    small = replace(big, num_layers=10, dense_layers=10)
    relative = relative_bandwidth(round_traffic(big, small, 4, 0), 3.36)
    assert relative == pytest.approx((1 + 4 * 10 / 200) / 3.36, rel=2e-3)


def test_fewer_draft_calls_save_draft_traffic_alone():
    staged = round_traffic(TARGET, DRAFT, 8, 500, draft_calls=3)
    plain = round_traffic(TARGET, DRAFT, 8, 500)
    assert staged.draft.bytes == pytest.approx(plain.draft.bytes * 3 / 8)
    assert staged.verification.bytes == plain.verification.bytes


@pytest.mark.parametrize(
    ("relative", "draft_calls", "low", "high"),
    [(0.31, (5, 8), 4.0, 5.0), (0.23, (1, 8), 4.4, 6.5), (0.48, (5, 8), 2.5, 3.2)],
)
def test_table_1_of_the_staged_paper_stands_for_plausible_rounds(relative, draft_calls, low, high):
    """arXiv:2308.04623, Table 1: 0.31 speculative, 0.23 staged, 0.48 with top-k sampling.

    The paper gives neither tokens per round nor draft calls. Its oracle is GPT-2 Large, its draft
    has 40M parameters (here one layer of GPT-2's width, 46M). Whatever the calls, the relative
    bandwidth then stands for these tokens per round, within the depth of 8 of the authors' runs.
    """
    oracle = known_shape("gpt2-large")
    draft = replace(known_shape("gpt2"), num_layers=1, dense_layers=1)
    assert draft.num_parameters / 1e6 == pytest.approx(46, abs=1)
    calls = np.array(draft_calls)
    traffic = round_traffic(oracle, draft, 8, 128, draft_calls=calls)
    tau = implied_mean_emitted(traffic, relative)
    assert low < tau.min() <= tau.max() < high


def test_bad_queries_are_refused():
    traffic = round_traffic(TARGET, DRAFT, 4, 0)
    with pytest.raises(ValueError, match=r"mean_emitted must be finite and >= 1, not 0\.5"):
        relative_bandwidth(traffic, 0.5)
    with pytest.raises(ValueError, match="relative must be finite and > 0, not 0"):
        implied_mean_emitted(traffic, 0)
    with pytest.raises(ValueError, match="draft_calls must be finite and >= 0, not -1"):
        round_traffic(TARGET, DRAFT, 4, 0, draft_calls=-1)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 5000)), min_size=1, max_size=6))
def test_counted_forwards_add_up(forwards):
    """Second implementation: one by one; equal widths at their mean context."""
    one_by_one = [total_cost(operator_costs(TARGET, n, k)) for n, k in forwards]
    widths = sorted({n for n, _ in forwards})
    contexts = [[k for n, k in forwards if n == width] for width in widths]
    cost = calls_cost(TARGET, widths, [np.mean(c) for c in contexts], [len(c) for c in contexts])
    assert cost.bytes == pytest.approx(sum(c.bytes for c in one_by_one))
    assert cost.flop == pytest.approx(sum(c.flop for c in one_by_one))
