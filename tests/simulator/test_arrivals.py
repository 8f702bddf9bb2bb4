"""Requests and their arrivals."""

import numpy as np
import pytest

from simulator.arrivals import Requests, poisson_requests


def test_gaps_between_arrivals_have_the_moments_of_the_exponential_law():
    """n = 20 000: mean and standard deviation of the gaps are 1/rate, within 5 standard errors.

    The standard error of the mean is 1/rate/sqrt(n), of the standard deviation sqrt(2) times that.
    """
    rng = np.random.default_rng(0)
    gaps = np.diff(poisson_requests(4.0, 20_000, 1, 1, rng=rng).arrival_seconds, prepend=0)
    error = 0.25 / np.sqrt(20_000)
    assert abs(gaps.mean() - 0.25) < 5 * error
    assert abs(gaps.std() - 0.25) < 5 * np.sqrt(2) * error


def test_prompt_and_output_of_a_recorded_request_stay_together():
    rng = np.random.default_rng(1)
    requests = poisson_requests(1.0, 500, [10, 20, 30], [1, 2, 3], rng=rng)
    assert (requests.prompt_tokens == 10 * requests.output_tokens).all()
    assert set(requests.output_tokens) == {1, 2, 3}


def test_equal_seeds_give_equal_requests():
    one, other = (
        poisson_requests(1.0, 50, [5, 9], [5, 9], rng=np.random.default_rng(7)) for _ in range(2)
    )
    assert (one.arrival_seconds == other.arrival_seconds).all()
    assert (one.prompt_tokens == other.prompt_tokens).all()


def test_bad_requests_are_refused():
    one = np.ones(1)
    with pytest.raises(ValueError, match="arrival_seconds must ascend"):
        Requests(np.array([1.0, 0.0]), np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="requests differ in shape"):
        Requests(one, one, np.ones(2))
    with pytest.raises(ValueError, match="at least 1 request, not 0"):
        Requests(np.zeros(0), np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match="output_tokens must be finite and >= 1, not 0"):
        Requests(one, one, np.zeros(1))
    with pytest.raises(ValueError, match="rate must be finite and > 0, not 0"):
        poisson_requests(0, 1, 1, 1, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"lengths differ in shape: \(1,\) and \(2,\)"):
        poisson_requests(1, 1, 1, [1, 2], rng=np.random.default_rng(0))
