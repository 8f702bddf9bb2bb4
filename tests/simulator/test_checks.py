"""Refusals name the argument, the value and the bound, on one line."""

import numpy as np
import pytest

from simulator import checks


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: checks.rates("alpha", [0.5, -2]), "alpha must be in [0, 1], not -2"),
        (lambda: checks.at_least("t", np.inf, 0), "t must be finite and >= 0, not inf"),
        (lambda: checks.above("t", [1, 0], 0), "t must be finite and > 0, not 0"),
        (lambda: checks.counts("n", [1, 2.5], 1), "n must be whole, not 2.5"),
        (lambda: checks.counts("n", 0, 1), "n must be finite and >= 1, not 0"),
        (lambda: checks.one_count("n", [1, 2, 3], 1), "n must be one number, not 3 numbers"),
    ],
)
def test_the_message_is_one_line(call, message):
    with pytest.raises(ValueError) as refusal:
        call()
    assert str(refusal.value) == message


def test_admissible_values_pass_unchanged():
    assert checks.rates("alpha", 1).tolist() == 1.0
    assert checks.counts("n", [3.0, 4.0], 0).dtype == np.int64
    assert checks.one_count("n", 3, 0) == 3
    assert checks.prompt_lengths([1, 2], 3).tolist() == [1, 2]
