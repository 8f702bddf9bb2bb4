"""The table of hardware."""

import pytest

from simulator.hardware import KNOWN_HARDWARE, Hardware, known_hardware


def test_every_entry_is_sourced_dated_and_plausible():
    assert len(KNOWN_HARDWARE) >= 14
    for name in KNOWN_HARDWARE:
        entry = known_hardware(name)
        assert "://" in entry.source
        assert 2017 <= int(entry.date[:4]) <= 2026
        assert 1e11 < entry.bandwidth < 1e13
        assert 8e9 <= entry.memory < 1e12
        for dtype in entry.flop_per_second:
            assert 1 < entry.ridge_point(dtype) < 1000, (name, dtype)


def test_narrower_numbers_are_never_slower():
    for name in KNOWN_HARDWARE:
        rates = known_hardware(name).flop_per_second
        order = [rates[d] for d in ("float32", "bfloat16", "float8") if d in rates]
        assert order == sorted(order), name


def test_half_precision_is_dense_not_sparse():
    """NVIDIA prints sparse figures: 1979 (H100 SXM), 733 (L40S), 242 (L4), each with a footnote."""
    for name, sparse in (("H100-SXM", 1979e12), ("L40S", 733e12), ("L4", 242e12)):
        assert known_hardware(name).peak("bfloat16") < 0.51 * sparse


def test_ridge_point_divides_memory_bound_from_compute_bound():
    card = Hardware("card", 100.0, 1.0, {"float32": 700.0}, "made up", "2026")
    assert card.ridge_point("float32") == 7.0
    assert 7.0 * 10 / card.peak("float32") == 10 / card.bandwidth


def test_devices_scale_everything_but_the_ridge_point():
    one, four = known_hardware("A100-SXM-80GB"), known_hardware("A100-SXM-80GB").devices(4)
    assert four.bandwidth == 4 * one.bandwidth
    assert four.memory == 4 * one.memory
    assert four.ridge_point("bfloat16") == one.ridge_point("bfloat16")
    assert four.name == "4 x A100-SXM-80GB"


def test_unknown_names_are_refused_with_near_ones():
    with pytest.raises(ValueError, match=r"'RTX 4090' is not in the table; similar: RTX-4090"):
        known_hardware("RTX 4090")
    with pytest.raises(ValueError, match="V100-SXM2-32GB has no figure for dtype 'bfloat16'"):
        known_hardware("v100-sxm2-32gb").peak("bfloat16")


def test_bad_figures_are_refused():
    with pytest.raises(ValueError, match="bandwidth must be finite and > 0, not 0"):
        Hardware("x", 0, 1, {"float32": 1}, "", "")
    with pytest.raises(ValueError, match="needs FLOP/s of at least 1 dtype"):
        Hardware("x", 1, 1, {}, "", "")
    with pytest.raises(ValueError, match=r"flop_per_second\[float32\] must be finite and > 0"):
        Hardware("x", 1, 1, {"float32": -1}, "", "")
    with pytest.raises(ValueError, match="number must be finite and >= 1, not 0"):
        known_hardware("L4").devices(0)
