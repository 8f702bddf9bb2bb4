"""Are terms that are known found again, and is what points cannot show refused?"""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.degree_fit import TERMS, DegreeFit, fit_degrees

DEGREES, ACTIVE, DRAFTS = (1, 2, 4), (1, 4, 8), (2, 5)
POINTS = np.array(list(itertools.product(DEGREES, ACTIVE, DRAFTS))).T
seconds_of_terms = st.lists(st.floats(0, 10), min_size=12, max_size=12)


def rounds(terms: np.ndarray, degree, active, drafted):
    """Written out term by term, apart from the fit's own arrays."""
    total = 0.0
    for share, (target, draft) in zip((1 / degree, 1.0, degree - 1.0), terms, strict=True):
        total = total + share * (target[0] + target[1] * active)
        total = total + share * drafted * (draft[0] + draft[1] * active)
    return total


@given(each=seconds_of_terms)
def test_terms_are_found_again_exactly(each: list[float]) -> None:
    terms = np.array(each).reshape(3, 2, 2)
    terms[1, 0, 0] += 1.0  # a round that takes no time is refused
    times = rounds(terms, *POINTS)
    fit = fit_degrees(*POINTS, times)
    assert np.abs(fit.residuals).max() < 1e-8
    for degree, active, drafted in ((8, 2, 3), (16, 20, 7), (1, 1, 1)):
        expected = rounds(terms, degree, active, drafted)
        assert fit.seconds(degree, active, drafted) == pytest.approx(expected, rel=1e-5)


@given(each=seconds_of_terms, noise=st.integers(0, 99))
def test_noise_never_makes_a_term_negative(each: list[float], noise: int) -> None:
    terms = np.array(each).reshape(3, 2, 2)
    terms[1, 0, 0] += 1.0
    rng = np.random.default_rng(noise)
    times = rounds(terms, *POINTS) * rng.lognormal(0, 0.1, POINTS.shape[1])
    fit = fit_degrees(*POINTS, times)
    assert (fit.seconds_by_term >= 0).all()
    alone = [fit.term_seconds(term, 4, 3) for term in ("divisible", "rest")]
    assert fit.seconds(1, 4, 3) == pytest.approx(sum(alone))  # nobody to tell
    told = fit.seconds(8, 4, 3) - fit.term_seconds("divisible", 4, 3) / 8
    assert told == pytest.approx(alone[1] + 7 * fit.term_seconds("communication", 4, 3))


def test_two_degrees_bound_what_three_tell() -> None:
    terms = np.array([[[6, 1], [1, 0.2]], [[2, 0.1], [0.3, 0]], [[0.5, 0], [0.1, 0]]])
    points = POINTS[:, POINTS[0] < 4]
    times = rounds(terms, *points)
    with pytest.raises(ValueError, match=r"3 terms \(.*\) need servers of 3 degrees, not of 1, 2"):
        fit_degrees(*points, times)
    ends: dict[str, DegreeFit] = {
        name: fit_degrees(*points, times, without=name)  # type: ignore[arg-type]
        for name in ("rest", "communication")
    }
    assert all(np.abs(fit.residuals).max() < 1e-8 for fit in ends.values())
    # talking grows with the devices, what stays does not
    assert (
        ends["communication"].seconds(4, 2, 3) < rounds(terms, 4, 2, 3)
        < ends["rest"].seconds(4, 2, 3)
    )  # fmt: skip
    assert ends["rest"].shown == ("divisible", "communication")


def test_plain_steps_of_one_batch_are_fitted_and_no_more_is_foretold() -> None:
    fit = fit_degrees(DEGREES, [4] * 3, [0] * 3, [9 / p + 1 + 0.25 * (p - 1) for p in DEGREES])
    assert [fit.term_seconds(term, 4) for term in TERMS] == pytest.approx([9, 1, 0.25])
    assert fit.seconds(3, 4, 0) == pytest.approx(3 + 1 + 0.5)
    with pytest.raises(ValueError, match="were fitted with 4 sequences, not with 2"):
        fit.seconds(3, 2, 0)
    with pytest.raises(ValueError, match="rounds without drafts were fitted, not with 3"):
        fit.seconds(3, 4, 3)


@pytest.mark.parametrize(
    ("points", "told"),
    [
        (([1, 2, 4], [1, 1, 1], [2, 2, 2]), "takes two numbers of drafts, not 2 alone"),
        (([1, 2, 4], [1, 1, 1], [0, 2, 2]), "are another stage: fit them by themselves"),
        (([1, 2, 4], [1, 1, 1], [2, 5, 2]), "too few or too alike"),
        (([1, 2, 0], [1, 1, 1], [0, 0, 0]), "degree must be finite and >= 1, not 0"),
        (([1, 2], [1, 1, 1], [0, 0, 0]), "shapes differ"),
    ],
)
def test_too_few_points_are_refused(points: tuple[list[int], ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        fit_degrees(*points, [1.0, 2.0, 3.0])
