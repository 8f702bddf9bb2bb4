"""Rounds read back from provenance are those the engine made."""

from engine.sampling import Sampling
from profiler.kept_by_depth import kept_per_round, kept_shares
from profiler.measure import measure
from profiler.methods import chain
from profiler.run import ProfilePlan
from profiler.runs import Run
from tests.tiny_models import tiny_pair


def decodes() -> list[Run]:
    target, draft = tiny_pair()
    plan = ProfilePlan((Sampling(), Sampling(1.0)), new_tokens=30)
    runs = measure(target, [[5, 9, 2, 7], [3, 1]], plan, [chain(draft, 3)])
    return [run for run in runs if run.method.drafter is not None]


def test_kept_drafts_per_round_add_up_to_what_the_decode_counted() -> None:
    for run in decodes():
        kept = kept_per_round(run)
        assert (len(kept), sum(kept)) == (run.num_rounds, run.num_accepted)
        assert sum(kept) + len(kept) == len(run.tokens) and max(kept) <= 3


def test_shares_fall_with_the_position_and_leave_out_rounds_without_room() -> None:
    runs = decodes()
    shares = kept_shares(runs, 3)
    assert 1 >= shares[0] >= shares[1] and shares[0] > 0
    first = [k for run in runs for k in kept_per_round(run)]
    # one token is wanted in at most the last round of a text, which then drafts none
    assert sum(k > 0 for k in first) / len(first) <= shares[0]
    assert kept_shares(runs[:1], 40)[29:] == [0.0] * 11
