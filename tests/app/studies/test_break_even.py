"""What a drafter needs, checked by putting it back into the round."""

import pytest

from app.studies.break_even import constant_rate, needed
from simulator import expected_emitted_tokens

ROW = {"num_draft_tokens": 8, "tau": 2.4, "draft_s": 0.003, "round_s": 0.0066, "step_s": 0.003}


@pytest.mark.parametrize("wanted", [1.0, 1.2])
def test_what_is_needed_gives_the_wanted_speedup(wanted: float) -> None:
    found = needed(ROW, wanted)
    assert found["acceptance_rate"] is not None and found["draft_s"] is not None
    tau = float(expected_emitted_tokens(found["acceptance_rate"], 8))
    assert tau * ROW["step_s"] / ROW["round_s"] == pytest.approx(wanted)
    round_s = ROW["round_s"] - ROW["draft_s"] + found["draft_s"]
    assert ROW["tau"] * ROW["step_s"] / round_s == pytest.approx(wanted)


def test_what_no_draft_can_do_is_none() -> None:
    assert needed(ROW, 2.1)["draft_s"] is None
    assert needed(ROW, 2.1)["acceptance_rate"] is not None
    assert needed(ROW, 9.0) == {"acceptance_rate": None, "draft_s": None}


def test_constant_rate_inverts_the_closed_form() -> None:
    assert constant_rate(float(expected_emitted_tokens(0.37, 5)), 5) == pytest.approx(0.37)
