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


# Width of the memory bus [bit] and rate of a pin [Gbit/s], from data sheets, white papers and what
# drivers print; see docs/sources.md. A maker rounds the product.
BUSES = {
    "A100-SXM-40GB": (5120, 2.43), "A100-SXM-80GB": (5120, 3.186), "A100-PCIe-80GB": (5120, 3.024),
    "H100-SXM": (5120, 5.238), "V100-SXM2-32GB": (4096, 1.754), "T4": (256, 10),
    "L4": (192, 12.5), "A10": (384, 12.5), "L40": (384, 18), "L40S": (384, 18),
    "RTX-3090": (384, 19.5), "RTX-4090": (384, 21), "RTX-5090": (512, 28),
    "EPYC-9654": (12 * 64, 4.8), "Xeon-8480+": (8 * 64, 4.8),
}  # fmt: skip


@pytest.mark.parametrize("name", BUSES)
def test_bandwidth_is_bus_width_times_pin_rate(name):
    bits, rate = BUSES[name]
    assert known_hardware(name).bandwidth == pytest.approx(bits / 8 * rate * 1e9, rel=0.003)


# Multiply-add units and boost clock [GHz]
CORES = {
    "A100-SXM-80GB": (6912, 1.41), "H100-SXM": (16896, 1.98), "V100-SXM2-32GB": (5120, 1.53),
    "T4": (2560, 1.59), "A10": (9216, 1.695), "L40": (18176, 2.49), "L40S": (18176, 2.52),
    "RTX-3090": (10496, 1.695), "RTX-4090": (16384, 2.52), "RTX-5090": (21760, 2.407),
    "EPYC-9654": (96 * 16, 2.4), "Xeon-8480+": (56 * 32, 2.0),
}  # fmt: skip


@pytest.mark.parametrize("name", CORES)
def test_float32_peak_is_two_flop_per_unit_and_cycle(name):
    units, clock = CORES[name]
    assert known_hardware(name).peak("float32") == pytest.approx(2 * units * clock * 1e9, rel=0.006)


def test_geforce_cards_halve_their_rate_when_they_accumulate_in_float32():
    """White papers print 142, 330.3 and 419 TFLOP/s with float16 accumulation."""
    for name, fast in (("RTX-3090", 142e12), ("RTX-4090", 330.3e12), ("RTX-5090", 419e12)):
        assert known_hardware(name).peak("bfloat16") == pytest.approx(fast / 2, rel=0.001)


def test_memory_is_what_drivers_report():
    """A maker's GB is a GiB on stacked memory, less where error correction takes a share."""
    assert known_hardware("H100-SXM").memory == 81559 * 2**20 > 1.06 * 80e9
    assert known_hardware("MI300X").memory == 206_141_652_992
    assert known_hardware("L4").memory == 23034 * 2**20 < 0.94 * 24 * 2**30


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
