"""Continuous batching under load."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from simulator.acceptance import (
    emitted_tokens_pmf,
    expected_emitted_from_hazards,
    expected_emitted_tokens,
)
from simulator.arrivals import Requests, poisson_requests
from simulator.load import simulate_load
from simulator.round_table import RoundTable
from tests.simulator.published_times import h100_step_seconds

HAZARDS = np.array([0.8, 0.7, 0.6, 0.5])


def table(schedule, base=0.01, slope=0.002, per_context=1e-5):
    """Times linear in batch and context; drafting makes a round longer."""
    batch = np.arange(1, len(schedule) + 1)[:, None]
    contexts = np.array([0.0, 300.0, 5000.0])
    seconds = base + slope * batch * (1 + 0.2 * np.array(schedule)[:, None])
    return RoundTable(
        np.array(schedule), contexts, seconds + per_context * batch * contexts, HAZARDS
    )


def flat_table(schedule, seconds=0.01):
    return RoundTable(
        np.array(schedule), np.zeros(1), np.full((len(schedule), 1), seconds), HAZARDS
    )


WORKLOADS = st.builds(
    lambda number, rate, seed: poisson_requests(
        rate, number, [20, 100, 50], [1, 30, 7], rng=np.random.default_rng(seed)
    ),
    st.integers(1, 40),
    st.floats(0.1, 200),
    st.integers(0, 1000),
)
SCHEDULES = st.lists(st.integers(0, 4), min_size=1, max_size=6)


def serve_naively(requests, rounds, prefill, rng):
    """Oracle: one dictionary per request, one scalar at a time, no table look-up."""
    waiting = [
        {"i": i, "arrival": a, "left": int(o), "context": int(p)}
        for i, (a, p, o) in enumerate(
            zip(
                requests.arrival_seconds,
                requests.prompt_tokens,
                requests.output_tokens,
                strict=True,
            )
        )
    ]
    finish, running, clock = {}, [], 0.0
    while waiting or running:
        if not running:
            clock = max(clock, waiting[0]["arrival"])
        while waiting and waiting[0]["arrival"] <= clock and len(running) < rounds.max_batch:
            one = waiting.pop(0)
            clock += prefill
            one["left"] -= 1
            if one["left"]:
                running.append(one)
            else:
                finish[one["i"]] = clock
        if not running:
            continue
        b = len(running)
        context = sum(one["context"] for one in running) / b
        clock += float(np.interp(context, rounds.contexts, rounds.seconds[b - 1]))
        gamma = rounds.num_draft_tokens[b - 1]
        law = emitted_tokens_pmf(HAZARDS[:gamma])
        uniforms = rng.random(b) if gamma else np.zeros(b)
        for one, u in zip(running, uniforms, strict=True):
            emitted, mass = 1, law[0]
            while mass <= u and emitted <= gamma:
                mass += law[emitted]
                emitted += 1
            one["context"] += min(emitted, one["left"])
            one["left"] -= min(emitted, one["left"])
            if one["left"] == 0:
                finish[one["i"]] = clock
        running = [one for one in running if one["left"]]
    return np.array([finish[i] for i in range(requests.number)])


@settings(deadline=None, max_examples=40)
@given(WORKLOADS, SCHEDULES, st.integers(0, 1000))
def test_finish_times_are_those_of_the_naive_server(requests, schedule, seed):
    """Second implementation, driven by the same uniforms; schedules with and without drafts."""
    rounds = table(schedule)
    fast = simulate_load(requests, rounds, 0.03, rng=np.random.default_rng(seed))
    naive = serve_naively(requests, rounds, 0.03, np.random.default_rng(seed))
    assert fast.finish_seconds == pytest.approx(naive, rel=1e-9)


@settings(deadline=None, max_examples=40)
@given(WORKLOADS, SCHEDULES, st.integers(0, 1000))
def test_tokens_are_conserved_and_times_are_in_order(requests, schedule, seed):
    load = simulate_load(requests, table(schedule), 0.03, rng=np.random.default_rng(seed))
    emitted = load.round_emitted.sum() + requests.number
    assert emitted == requests.output_tokens.sum()
    assert (requests.arrival_seconds <= load.admitted_seconds).all()
    assert (load.admitted_seconds < load.first_token_seconds).all()
    assert (load.first_token_seconds <= load.finish_seconds).all()
    assert load.round_batch.max(initial=1) <= len(schedule)
    limit = (np.array(schedule)[load.round_batch - 1] + 1) * load.round_batch
    assert (load.round_emitted <= limit).all()


@settings(deadline=None, max_examples=40)
@given(WORKLOADS, SCHEDULES, st.integers(0, 1000))
def test_littles_law(requests, schedule, seed):
    """Mean number in service = rate x mean time in service.

    The left side adds up over rounds and prefills, the right side over requests.
    """
    load = simulate_load(requests, table(schedule), 0.03, rng=np.random.default_rng(seed))
    rate = requests.number / load.makespan
    service = (load.finish_seconds - load.admitted_seconds).mean()
    assert load.mean_running == pytest.approx(rate * service, rel=1e-9)


@settings(deadline=None, max_examples=20)
@given(WORKLOADS, st.integers(1, 6), st.integers(0, 1000), st.integers(0, 1000))
def test_a_schedule_without_drafts_is_no_speculation_exactly(requests, size, one, other):
    """No acceptance is drawn: hazards and seeds do not matter."""
    plain = table([0] * size)
    certain = replace(plain, hazards=np.ones(4))
    a = simulate_load(requests, plain, 0.03, rng=np.random.default_rng(one))
    b = simulate_load(requests, certain, 0.03, rng=np.random.default_rng(other))
    assert (a.finish_seconds == b.finish_seconds).all()


def test_without_load_the_time_per_token_is_that_of_batch_one():
    """Limit: requests far apart; context from prompt to prompt + output - 2."""
    far = Requests(np.arange(20) * 1e3, np.full(20, 100), np.full(20, 51))
    rounds = table([0, 0, 0])
    load = simulate_load(far, rounds, 0.25, rng=np.random.default_rng(0))
    mean = np.interp(100 + np.arange(50), rounds.contexts, rounds.seconds[0]).mean()
    assert load.time_per_output_token == pytest.approx(np.full(20, mean))
    assert load.time_to_first_token == pytest.approx(np.full(20, 0.25))
    assert (load.round_batch == 1).all()


def test_without_load_speculation_divides_the_round_by_tau():
    """500 requests alone, 400 tokens: mean within 5 standard errors and the last round's excess.

    A last round that emits more than is wanted lengthens a text by less than one round.
    """
    far = Requests(np.arange(500) * 1e3, np.full(500, 10), np.full(500, 401))
    load = simulate_load(far, flat_table([4]), 0.0, rng=np.random.default_rng(1))
    tau = float(expected_emitted_from_hazards(HAZARDS))
    per_token = load.time_per_output_token
    error = 5 * per_token.std() / np.sqrt(500)
    assert -error <= per_token.mean() - 0.01 / tau <= error + 0.01 / 400


def test_saturation_reaches_the_throughput_of_the_largest_batch():
    """All arrive at once: batch x tau / round time while the queue lasts, within 5 standard errors.

    Capped last rounds take away at most 4 of 1000 tokens.
    """
    tau = float(expected_emitted_from_hazards(HAZARDS))
    for schedule, mean in (([0] * 8, 1.0), ([4] * 8, tau)):
        flood = Requests(np.zeros(64), np.full(64, 10), np.full(64, 1001))
        load = simulate_load(flood, flat_table(schedule), 0.0, rng=np.random.default_rng(2))
        full = load.round_batch == 8
        emitted = load.round_emitted[full]
        assert full.mean() > 0.9
        error = 5 * emitted.std() / np.sqrt(emitted.size)
        rate = emitted.mean() / 0.01
        assert 8 * mean / 0.01 * (1 - 4 / 1000) - error / 0.01 <= rate
        assert rate <= 8 * mean / 0.01 + error / 0.01 + 1e-6


def test_one_place_and_one_token_is_the_queue_m_d_1():
    """Waiting time rho s / (2 (1 - rho)), Pollaczek-Khinchine; 60 runs of 1500 requests.

    Starting empty shortens the first waits: about rho/(1 - rho)^2 of 1500 requests, 0.2 %.
    Tolerance: 4 standard errors over runs (6e-5) and that bias.
    """
    service, load_factor, rng = 0.2, 0.6, np.random.default_rng(3)
    waits = []
    for _ in range(60):
        requests = poisson_requests(load_factor / service, 1500, 1, 1, rng=rng)
        load = simulate_load(requests, flat_table([0]), service, rng=rng)
        waits.append((load.admitted_seconds - requests.arrival_seconds).mean())
    theory = load_factor * service / (2 * (1 - load_factor))
    error = np.std(waits, ddof=1) / np.sqrt(60)
    assert error < 0.03 * theory
    assert abs(np.mean(waits) - theory) < 4 * error + 0.004 * theory


def test_the_wrong_queue_is_told_apart():
    """Negative control: M/M/1 waits twice as long as M/D/1, far outside the tolerance above."""
    service, load_factor, rng = 0.2, 0.6, np.random.default_rng(3)
    waits = []
    for _ in range(60):
        requests = poisson_requests(load_factor / service, 1500, 1, 1, rng=rng)
        times = rng.exponential(service, 1500)
        load = simulate_load(requests, flat_table([0]), times, rng=rng)
        waits.append((load.admitted_seconds - requests.arrival_seconds).mean())
    deterministic = load_factor * service / (2 * (1 - load_factor))
    error = np.std(waits, ddof=1) / np.sqrt(60)
    assert np.mean(waits) - deterministic > 4 * error + 0.004 * deterministic
    assert np.mean(waits) == pytest.approx(2 * deterministic, abs=4 * error + 0.01 * deterministic)


def test_goodput_counts_requests_that_meet_both_objectives():
    requests = Requests(np.array([0.0, 0.0, 10.0]), np.full(3, 10), np.array([11, 11, 11]))
    load = simulate_load(requests, flat_table([0], 0.1), 1.0, rng=np.random.default_rng(0))
    # places: one; the second waits for 1 + 10 x 0.1 s and is prefilled for 1 s
    assert load.time_to_first_token == pytest.approx([1.0, 3.0, 1.0])
    assert load.time_per_output_token == pytest.approx([0.1, 0.1, 0.1])
    assert load.makespan == pytest.approx(12.0)
    assert load.goodput(2.0, 0.2) == pytest.approx(2 / 12)
    assert load.goodput(4.0, 0.2) == pytest.approx(3 / 12)
    assert load.goodput(4.0, 0.05) == 0
    assert load.throughput == pytest.approx(33 / 12)


def h100_table(num_draft_tokens, acceptance_rate, max_batch):
    """Rounds of Llama-3.1-8B with an EAGLE draft: coefficients of arXiv:2601.11580."""
    batch, context = np.arange(1, max_batch + 1)[:, None], np.array([0.0, 3000.0])
    seconds = h100_step_seconds(num_draft_tokens + 1, context, batch) + 1.20683946e-3
    if num_draft_tokens:
        per_token = 8.41429603e-7 * num_draft_tokens + 2.37768493e-9 * context
        seconds = seconds + 2.13526175e-3 + per_token * batch
    schedule = np.full(max_batch, num_draft_tokens)
    return RoundTable(schedule, context, seconds, np.full(num_draft_tokens, acceptance_rate))


@pytest.mark.parametrize(
    ("prompt", "output", "tau", "published"),
    [
        # GSM8K, then CNN/DM: tokens per round at 1, 3, 5 drafts; speedups at batch 1, 8, 64
        (150, 165, (1.699, 2.391, 2.666), {1: (1.29, 1.81, 2.01), 8: (1.28, 1.73, 1.86),
                                           64: (1.19, 1.36, 1.29)}),
        (900, 322, (1.674, 2.329, 2.578), {1: (1.28, 1.76, 1.94), 8: (1.26, 1.65, 1.76),
                                           64: (1.18, 1.31, 1.28)}),
    ],
)  # fmt: skip
def test_speedups_of_a_published_simulator(prompt, output, tau, published):
    """The simulator beside arXiv:2601.11580: 18 throughput ratios, each within 2 %.

    Same coefficients, 300 requests at once, prefill at 21 us a token; output lengths and tokens per
    round are those of its traces, prompt lengths typical ones (assumed). The closed form, which
    knows no prefill, is 7 to 13 % high for CNN/DM at batch 64.
    """
    flood = Requests(np.zeros(300), np.full(300, prompt), np.full(300, output))
    prefill = 2.10103129e-5 * prompt

    def throughput(gamma, rate, batch):
        rng = np.random.default_rng(0)
        return simulate_load(flood, h100_table(gamma, rate, batch), prefill, rng=rng).throughput

    for batch, speedups in published.items():
        alone = throughput(0, 0.0, batch)
        for gamma, mean, speedup in zip((1, 3, 5), tau, speedups, strict=True):
            rate = brentq(lambda a, g=gamma, m=mean: expected_emitted_tokens(a, g) - m, 0, 1)
            assert throughput(gamma, rate, batch) / alone == pytest.approx(speedup, rel=0.02)


def test_bad_runs_are_refused():
    requests = Requests(np.zeros(1), np.array([4990]), np.array([11]))
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="contexts of the table must reach 5001 tokens, not 5000"):
        simulate_load(requests, table([0]), 0.0, rng=rng)
    with pytest.raises(ValueError, match="prefill_seconds must be finite and >= 0, not -1"):
        simulate_load(requests, flat_table([0]), -1.0, rng=rng)
    load = simulate_load(requests, flat_table([0]), 0.0, rng=rng)
    with pytest.raises(ValueError, match="max_per_token must be finite and > 0, not 0"):
        load.goodput(1.0, 0.0)
