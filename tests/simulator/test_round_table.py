"""Rounds of a server on a grid."""

import numpy as np
import pytest

from simulator.acceptance import expected_emitted_from_hazards
from simulator.hardware import known_hardware
from simulator.known_models import known_shape
from simulator.round_table import RoundTable, prefill_seconds, tabulate_rounds
from simulator.serving import Server
from simulator.stage_time import assumed_stage_time

CARD = known_hardware("H100-SXM")
SERVER = Server(
    assumed_stage_time(known_shape("Llama-3.1-8B"), CARD, "bfloat16"),
    assumed_stage_time(known_shape("Llama-3.2-1B"), CARD, "bfloat16"),
    host_seconds=1e-3,
)


def test_every_entry_is_the_servers_round():
    table = tabulate_rounds(SERVER, [4, 2, 0], [0.8] * 4, [0, 1000])
    for batch, gamma in ((1, 4), (2, 2), (3, 0)):
        expected = SERVER.round_seconds(gamma, [0, 1000], batch)
        assert (table.seconds[batch - 1] == expected).all()


def test_laws_of_the_schedule_have_the_means_of_the_closed_form():
    table = tabulate_rounds(SERVER, [4, 0], [0.8, 0.7, 0.6, 0.5], [0])
    for cdf, gamma in zip(table.emitted_cdf, (4, 0), strict=True):
        mean = 1 + (1 - cdf).sum()
        assert mean == pytest.approx(
            float(expected_emitted_from_hazards([0.8, 0.7, 0.6, 0.5][:gamma]))
        )


def test_a_draft_reads_the_prompt_too():
    both = prefill_seconds(SERVER, [100, 2000], drafting=True)
    alone = prefill_seconds(SERVER, [100, 2000], drafting=False)
    draft = SERVER.draft.seconds([100, 2000], 0, logit_tokens=1)
    assert both - alone == pytest.approx(draft)


def test_bad_tables_are_refused():
    good = {
        "num_draft_tokens": np.array([1]), "contexts": np.zeros(1),
        "seconds": np.ones((1, 1)), "hazards": np.ones(1),
    }  # fmt: skip
    RoundTable(**good)
    with pytest.raises(ValueError, match=r"seconds must have shape \(1, 1\), max_batch >= 1"):
        RoundTable(**{**good, "seconds": np.ones((2, 1))})
    with pytest.raises(ValueError, match="contexts must ascend"):
        RoundTable(**{**good, "contexts": np.zeros(2), "seconds": np.ones((1, 2))})
    with pytest.raises(ValueError, match="hazards must hold >= 1 numbers, not 0"):
        RoundTable(**{**good, "hazards": np.zeros(0)})
