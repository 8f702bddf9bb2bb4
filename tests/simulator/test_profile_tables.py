"""Reading the tables of a profile: exact times in, exact curves out."""

import numpy as np
import pytest

from simulator.profile_tables import read_rounds, read_trace

COLUMNS = (
    "stage", "mode", "num_draft_tokens", "num_tokens", "context", "batch", "repeat", "seconds",
)  # fmt: skip
EXTRA = 0.5e-3


def draft_call(tokens):
    return 1e-3 + EXTRA * (tokens - 1)


def round_rows(gamma, context, repeat, first_call=1, unexplained=2e-3):
    """Rows of one round of a machine without noise."""
    target = 10e-3 + 1e-3 * gamma + 1e-5 * context
    if gamma == 0:
        calls = [("target", 1, target), ("sampling", 1, 0.4e-3)]
    else:
        calls = []
        for j in range(gamma):
            tokens = first_call if j == 0 else 1
            calls += [("draft", tokens, draft_call(tokens)), ("draft_sampling", 1, 0.1e-3)]
        calls += [("target", gamma + 1, target), ("verification", gamma + 1, 0.6e-3)]
        calls += [("commit", 1, 0.2e-3)]
    calls.append(("round", gamma + 1, sum(s for _, _, s in calls) + unexplained))
    return [(name, "greedy", gamma, n, context, 1, repeat, s) for name, n, s in calls]


def table(rows):
    return dict(zip(COLUMNS, map(np.array, zip(*rows, strict=True)), strict=True))


def profile(caught_up=lambda repeat: 2 if repeat % 3 == 0 else 1):
    rows = []
    for gamma in (0, 1, 2, 4):
        for context in (50, 100, 200):
            for repeat in range(6):
                rows += round_rows(gamma, context, repeat, caught_up(repeat))
    return table(rows)


def test_curves_return_the_laws_of_the_machine():
    costs = read_rounds(profile(), "greedy").costs()
    for gamma in (1, 2, 3, 4):
        assert costs.target.seconds(gamma + 1, 70) == pytest.approx(10e-3 + 1e-3 * gamma + 7e-4)
        assert costs.draft.seconds(gamma, 70) == pytest.approx(gamma * 1e-3)
        assert costs.draft_sampling.seconds(gamma, 70) == pytest.approx(gamma * 0.1e-3)
        assert costs.verification.seconds(gamma, 70) == pytest.approx(0.6e-3)
        assert costs.catch_up.seconds(gamma, 70) == pytest.approx(EXTRA)
        assert costs.rest.seconds(gamma, 70) == pytest.approx(2e-3)
    assert costs.sampling.seconds(0, 70) == pytest.approx(0.4e-3)
    assert costs.commit.seconds([0, 1], 70) == pytest.approx(np.array([0.0, 0.2e-3]))


def test_a_draft_call_is_a_curve_of_its_tokens():
    curve = read_rounds(profile(), "greedy").draft_call()
    assert curve.seconds([1, 2], 70) == pytest.approx(np.array([1e-3, 1.5e-3]))


@pytest.mark.parametrize("first_call", [1, 2])
def test_catching_up_is_settled_even_if_every_round_is_alike(first_call):
    """All rounds caught up: compare single calls. None did: nothing is known, nothing added."""
    costs = read_rounds(profile(lambda repeat: first_call), "greedy").costs()
    assert costs.draft.seconds(4, 70) == pytest.approx(4e-3)
    expected = EXTRA if first_call == 2 else 0.0
    assert costs.catch_up.seconds(4, 70) == pytest.approx(expected, abs=1e-15)


def test_a_slow_first_call_is_not_lost_in_a_median_of_calls():
    """Rounds are summed before the median: 1 slow call of 4 would vanish otherwise."""
    rows = []
    for repeat in range(5):
        rows += round_rows(0, 50, repeat)
        slow = round_rows(4, 50, repeat)
        at = next(i for i, row in enumerate(slow) if row[0] == "draft")
        slow[at] = (*slow[at][:-1], slow[at][-1] + 3e-3)
        rows += slow
    costs = read_rounds(table(rows), "greedy").costs()
    assert costs.draft.seconds(4, 50) == pytest.approx(7e-3)


def test_several_rounds_under_one_key_are_averaged():
    rows = [row for _ in range(3) for g in (0, 2) for row in round_rows(g, 50, 0)]
    rounds = read_rounds(table(rows), "greedy")
    assert rounds.num_draft_tokens.tolist() == [0, 2]
    assert rounds.seconds["target"] == pytest.approx([10.5e-3, 12.5e-3])


def test_rows_outside_rounds_are_left_out():
    rows = [("prefill", "greedy", 0, 50, 0, 1, 0, 0.1)]
    rows += round_rows(0, 50, 0) + round_rows(2, 50, 0)
    assert read_rounds(table(rows), "greedy").context.tolist() == [50, 50]


def test_incomplete_stages_are_refused():
    ok = round_rows(0, 50, 0) + round_rows(2, 50, 0)
    with pytest.raises(ValueError, match=r"num_draft_tokens 0 and with >= 1, has only \[2\]"):
        read_rounds(table(round_rows(2, 50, 0)), "greedy")
    with pytest.raises(ValueError, match="rounds without stage 'verification'"):
        read_rounds(table([row for row in ok if row[0] != "verification"]), "greedy")
    with pytest.raises(ValueError, match="num_draft_tokens 2 must hold as many draft calls, not 0"):
        read_rounds(table([row for row in ok if row[0] != "draft"]), "greedy")
    with pytest.raises(ValueError, match=r"has only \[\]"):
        read_rounds(table([row for row in ok if row[0] != "round"]), "greedy")
    with pytest.raises(ValueError, match="no rows with mode 'sampled' and batch 1"):
        read_rounds(table(ok), "sampled")
    with pytest.raises(ValueError, match="no rows with mode 'greedy' and batch 4"):
        read_rounds(table(ok), "greedy", batch=4)


def trace_of(**changes):
    columns = {
        "prompt": [3, 3, 7],
        "position": [0, 1, 0],
        "context": [5, 6, 9],
        "target_prob": [0.5, 0.4, 1.0],
        "draft_prob": [0.25, 0.8, 0.0],
        "overlap": [0.7, 1.0 + 5e-6, 0.2],
    }
    return {name: np.array(value) for name, value in {**columns, **changes}.items()}


def test_a_trace_gives_acceptance_and_lengths():
    trace = read_trace(trace_of())
    assert trace.accept_prob.tolist() == [0.5, 1.0, 0.0]
    assert trace.lengths.tolist() == [2, 1]
    assert trace.overlap.tolist() == [0.7, 1.0, 0.2]  # float32 rounding is forgiven


def test_broken_traces_are_refused():
    with pytest.raises(ValueError, match="row 1 is out of order"):
        read_trace(trace_of(position=[0, 2, 0]))
    with pytest.raises(ValueError, match="row 2 is out of order"):
        read_trace(trace_of(prompt=[3, 3, 1]))
    with pytest.raises(ValueError, match="target_prob of an emitted token must be > 0, not 0"):
        read_trace(trace_of(target_prob=[0.5, 0.0, 1.0]))
    with pytest.raises(ValueError, match=r"overlap must be in \[0, 1\], not 1.1"):
        read_trace(trace_of(overlap=[0.7, 1.1, 0.2]))
    with pytest.raises(ValueError, match="trace must hold >= 1 token, not 0"):
        read_trace({name: value[:0] for name, value in trace_of().items()})
