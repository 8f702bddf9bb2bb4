"""Does the Roofline page reckon with what was chosen, pasted and measured?"""

from __future__ import annotations

import json

import numpy as np
import pytest

from app import figures
from app.machines import measured_machines, pasted_shape
from simulator import (
    Layout,
    assumed_stage_time,
    free_tokens,
    known_hardware,
    known_link,
    known_shape,
    roofline_point,
)
from tests.app.pages import address, numbers, visitor
from tests.factories import profile_header

visit = pytest.fixture(visitor)
GPT2 = {"model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_head": 12, "n_positions": 1024,
        "vocab_size": 50257}  # fmt: skip


def test_the_answer_is_that_of_the_simulator(visit, tmp_path):
    app = visit(tmp_path, "roofline", target="Qwen/Qwen2.5-7B", hardware="L4", context="2048")
    time = assumed_stage_time(known_shape("Qwen2.5-7B"), known_hardware("L4"), "bfloat16")
    assert not app.exception and not app.warning
    assert numbers(app)[0] == str(free_tokens(time, 2048))
    decode = roofline_point(time, 1, 2048)
    assert numbers(app)[1] == f"{1e3 * decode.seconds:.3g} ms"
    assert f"**{decode.intensity:.3g} FLOP/byte**" in app.markdown[0].value
    assert "bound by memory" in app.markdown[0].value


def test_devices_divide_the_work_and_talk(visit, tmp_path):
    app = visit(tmp_path, "roofline", devices="8", link="PCIe-4")
    assert not app.exception and not app.warning
    layout = Layout(8, 1, known_link("PCIe-4"))
    time = assumed_stage_time(
        known_shape("Llama-3.1-8B"), known_hardware("H100-SXM"), "bfloat16", layout=layout
    )
    assert numbers(app)[1] == f"{1e3 * float(time.seconds(1, 1000)):.3g} ms"
    talk = f"talk is {1e3 * float(time.communication_seconds(1)):.3g} ms, over PCIe-4"
    assert any(talk in caption.value for caption in app.caption)


def test_devices_are_those_that_both_models_can_be_split_over(visit, tmp_path):
    app = visit(tmp_path, "roofline", devices="8", target="Qwen/Qwen2.5-7B")  # 28 heads
    assert not app.exception
    assert "devices = '8' is not one of: 1, 2, 4" in app.warning[0].value
    assert numbers(app) == numbers(visit(tmp_path, "roofline", target="Qwen/Qwen2.5-7B"))


@pytest.mark.parametrize(("key", "value"), [("gamma", 12), ("batch", 64), ("context", 16_000)])
def test_sliders_change_an_answer_and_the_address(visit, tmp_path, key, value):
    app = visit(tmp_path, "roofline")
    before = numbers(app)
    app.slider(key=f"control_{key}").set_value(value).run()
    assert not app.exception
    assert numbers(app) != before
    assert address(app) == {key: str(value)}


def test_a_pasted_config_counts_and_travels_in_the_link(visit, tmp_path):
    first = visit(tmp_path, "roofline", target="pasted")
    first.text_area(key="typed_config").set_value(json.dumps(GPT2)).run()
    assert not first.exception and not first.error
    time = assumed_stage_time(
        pasted_shape(json.dumps(GPT2)), known_hardware("H100-SXM"), "bfloat16"
    )
    assert numbers(first)[0] == str(free_tokens(time, 1000))
    second = visit(tmp_path, "roofline", **address(first))
    assert numbers(second) == numbers(first)
    assert second.text_area(key="typed_config").value == json.dumps(GPT2)


def test_a_config_that_is_none_stays_in_the_box_with_a_reason(visit, tmp_path):
    app = visit(tmp_path, "roofline", target="pasted")
    before = numbers(app)
    app.text_area(key="typed_config").set_value('{"hidden_size": 8}').run()
    assert not app.exception
    assert "hidden_act" in app.error[0].value
    assert app.text_area(key="typed_config").value == '{"hidden_size": 8}'
    assert numbers(app) == before


@pytest.mark.parametrize(
    "text", ["", "[1]", "{", '"x"', "[" * 5000, json.dumps({**GPT2, "n_layer": [1]}),
             json.dumps({**GPT2, "n_layer": -1}), json.dumps({**GPT2, "n_head": 0}),
             json.dumps({**GPT2, "n_embd": "wide"}), "NaN", json.dumps({**GPT2, "n_layer": 1e999})]
)  # fmt: skip
def test_every_broken_config_gives_one_line(text):
    with pytest.raises(ValueError) as refused:
        pasted_shape(text)
    assert refused.value.args and "\n" not in str(refused.value)


def test_measured_ceilings_are_a_choice_of_their_own(visit, demo):
    app = visit(demo, "roofline", hardware="toy-2core.bfloat16")
    assert not app.exception and not app.warning
    assert any("32 GB/s, 0.214 TFLOP/s" in line.value and "Measured" in line.value
               for line in app.caption)  # fmt: skip


def test_own_numbers_bend_the_roof(visit, tmp_path):
    app = visit(tmp_path, "roofline", hardware="own", gbps="500", tflops="50")
    assert not app.exception and not app.warning
    assert "ridge point of 100." in app.markdown[0].value


def test_the_newest_profile_of_a_machine_speaks_for_it():
    from measurements import ProfileRecord

    def made(created: str, bandwidth: float) -> ProfileRecord:
        header = profile_header(
            id=f"profile-bfloat16-{created[:4]}0102T030405Z-0a1b2c",
            created=f"{created[:4]}-01-02T03:04:05+00:00",
        )
        ceilings = {"read_bandwidth_bytes_per_s": [bandwidth], "flop_per_s": [1e12]}
        fields = {**header.model_dump(), "ceilings": ceilings, "stages_file": "s.parquet",
                  "stages_sha256": "ab" * 32, "traces": []}  # fmt: skip
        return ProfileRecord.model_validate(fields)

    found = measured_machines([made("2026", 2e9), made("2025", 1e9)])
    assert [one.bandwidth for one in found.values()] == [2e9]


def test_points_lie_below_the_drawn_roofs():
    card = known_hardware("A100-SXM-80GB")
    time = assumed_stage_time(known_shape("Llama-3.1-8B"), card, "bfloat16")
    points = {"decode": ("decode", roofline_point(time, 1, 1000)),
              "verify": ("verify 5", roofline_point(time, 5, 1000))}  # fmt: skip
    figure = figures.roofline_chart(card, "bfloat16", time, points, origin="published")
    peak, reach = (one for one in figure.data if one.mode == "lines")
    assert np.all(peak.y >= reach.y)
    for one in figure.data:
        assert "[" in figure.layout.xaxis.title.text and one.hovertemplate
        if one.mode == "markers":
            roof = np.interp(np.log(one.x), np.log(peak.x), peak.y)
            assert one.y[0] <= roof and "modelled" in one.hovertemplate
