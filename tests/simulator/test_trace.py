"""The acceptance trace as a checked value."""

import numpy as np
import pytest

from simulator.trace import AcceptanceTrace


def test_quantities_follow_from_the_columns():
    trace = AcceptanceTrace([1, 0.5, 0], [0.8, 0.4, 0.3], [5, 6, 9], [2, 1])
    assert trace.acceptance_rate == pytest.approx(0.5)
    assert trace.cached.tolist() == [4, 5, 8]
    assert trace.prompt_of_position.tolist() == [0, 0, 1]
    assert trace.num_tokens == 3


def test_constant_texts_have_one_rate():
    trace = AcceptanceTrace.constant(0.25, 4, prompt_tokens=10)
    assert (trace.accept_prob == 0.25).all()
    assert trace.context.tolist() == [10, 11, 12, 13]
    assert trace.lengths.tolist() == [4]


def test_bad_traces_are_refused():
    ok = np.ones(2)
    with pytest.raises(ValueError, match=r"overlap must be in \[0, 1\], not 1.2"):
        AcceptanceTrace(ok, ok * 1.2, ok, [2])
    with pytest.raises(ValueError, match="context must be finite and >= 1, not 0"):
        AcceptanceTrace(ok, ok, ok * 0, [2])
    with pytest.raises(ValueError, match="differ in shape"):
        AcceptanceTrace(ok, np.ones(3), ok, [2])
    with pytest.raises(ValueError, match="lengths add up to 1 tokens, but there are 2 positions"):
        AcceptanceTrace(ok, ok, ok, [1])
