"""Is every link's figure one that can be, and is an unknown name refused?"""

import pytest

from simulator.links import KNOWN_LINKS, Link, known_link


@pytest.mark.parametrize("name", KNOWN_LINKS)
def test_every_known_link_names_its_source(name: str) -> None:
    link = known_link(name.upper())
    assert link.name == name
    assert link.source
    assert link.date
    assert 1e9 < link.bandwidth < 1e12
    assert 1e-7 < link.step_seconds < link.call_seconds < 1e-4


def test_generations_double_and_networks_are_slower() -> None:
    assert known_link("NVLink-5").bandwidth == 2 * known_link("NVLink-4").bandwidth
    assert known_link("PCIe-5").bandwidth == 2 * known_link("PCIe-4").bandwidth
    assert known_link("Ethernet-100G").step_seconds > known_link("PCIe-4").step_seconds


def test_bad_figures_and_names_are_refused() -> None:
    with pytest.raises(ValueError, match="'nvlink' is not in the table; similar: NVLink-"):
        known_link("nvlink")
    with pytest.raises(ValueError, match="bandwidth must be finite and > 0, not 0"):
        Link("x", 0.0)
    with pytest.raises(ValueError, match="step_seconds must be finite and >= 0, not -1"):
        Link("x", 1.0, -1.0)
