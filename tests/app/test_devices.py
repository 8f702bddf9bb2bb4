"""Is what servers on several devices say together right where everything about them is known?"""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.devices import alike, of_degrees
from app.hardware_scenario import HardwareScenario, scenarios
from measurements import ServerRecord, save_record
from tests.app import test_served
from tests.app.test_served import record

PLAIN = ((0.006, 0.001), (0.003, 0.001), (0.0005, 0.0))
"""Of a plain step: divisible, rest, communication; of a pass and each sequence. [s]"""
DRAFT = ((0.001, 0.0003), (0.001, 0.0002), (0.0001, 0.0))


def seconds(degree: int, drafts: int, active: int) -> float:
    shares = (1 / degree, 1.0, degree - 1.0)
    step = sum(s * (a + b * active) for s, (a, b) in zip(shares, PLAIN, strict=True))
    each = sum(s * (a + b * active) for s, (a, b) in zip(shares, DRAFT, strict=True))
    return step if not drafts else step + 0.002 + drafts * each


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[int, ServerRecord]:
    """Records of engines on 1, 2 and 4 devices whose clock is known."""
    found = {}
    for degree in (1, 2, 4):
        monkeypatch.setattr(
            test_served, "round_seconds", lambda k, b, degree=degree: seconds(degree, k, b)
        )
        made = record(2, 5, tensor_parallel=degree)
        name = f"server-float32-20260102T03040{degree}Z-0a1b2c"
        found[degree] = made.model_copy(update={"id": name})
    return found


def test_three_degrees_tell_all_terms_and_a_fourth_is_foretold(
    served: dict[int, ServerRecord],
) -> None:
    told = of_degrees(served)
    assert told is not None
    assert not told["refused"]
    rows = {(row["stage"], row["sequences"]): row for row in told["terms"]}
    assert set(rows) == {(s, b) for s in ("plain step", "round", "draft") for b in (1, 4)}
    for (stage, active), row in rows.items():
        known = DRAFT if stage == "draft" else PLAIN
        expected = [1e3 * (a + b * active) for a, b in known]
        expected[1] += 2.0 * (stage == "round")
        found = [1e3 * row[f"{t}_seconds"] for t in ("divisible", "rest", "communication")]
        assert found == pytest.approx(expected, abs=1e-5), (stage, active)
        assert row["worst_residual"] < 1e-6
    for row in told["foretold"]:
        expected_s = seconds(row["degree"], row["num_draft_tokens"], row["sequences"])
        assert row["round_seconds"]["low"] == pytest.approx(expected_s, rel=1e-6)
        assert row["extrapolated"] == (row["degree"] == 8)
        if not row["extrapolated"]:
            assert row["measured_seconds"] == pytest.approx(expected_s, rel=1e-6)
    speedups = {
        r["degree"]: r["speedup"]["low"]
        for r in told["foretold"] if (r["num_draft_tokens"], r["sequences"]) == (5, 1)
    }  # fmt: skip
    assert speedups[1] != pytest.approx(speedups[8])


def test_two_degrees_give_ends_with_the_truth_between(served: dict[int, ServerRecord]) -> None:
    told = of_degrees({p: served[p] for p in (1, 2)}, degrees=[4], drafts=[3], active=[2])
    assert told is not None
    assert {row["left_out"] for row in told["terms"]} == {"rest", "communication"}
    step, round_ = (r for r in told["foretold"])
    for row, k in ((step, 0), (round_, 3)):
        ends = row["round_seconds"]
        assert ends["low"] < seconds(4, k, 2) < ends["high"]
    assert round_["speedup"] is None  # nobody saw the tokens of 3 drafts


def test_a_second_device_that_is_slower_bounds_the_talk_from_below(
    served: dict[int, ServerRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_served, "round_seconds", lambda k, b: 2 * seconds(1, k, b))
    told = of_degrees({1: served[1], 2: record(2, 5, tensor_parallel=2)}, degrees=[4])
    assert told is not None
    assert {row["left_out"] for row in told["terms"]} == {"rest", "divisible"}
    assert max(row["worst_residual"] for row in told["terms"]) < 1e-6
    for row in told["foretold"]:  # each further device adds as much, or more, the first divided
        once = seconds(1, row["num_draft_tokens"], row["sequences"])
        assert row["round_seconds"]["low"] == pytest.approx(4 * once)
        assert row["round_seconds"]["high"] == pytest.approx((1 / 4 + 3 * 1.5) * once)


def test_one_degree_says_nothing_and_one_number_of_drafts_is_told_apart_from_none(
    served: dict[int, ServerRecord],
) -> None:
    assert of_degrees({1: served[1]}) is None
    few = {
        p: r.model_copy(update={"waves": [w for w in r.waves if w.num_draft_tokens != 5]})
        for p, r in served.items()
    }
    told = of_degrees(few)
    assert told is not None
    assert {row["stage"] for row in told["terms"]} == {"plain step"}
    assert "takes two numbers of drafts, not 2 alone" in told["refused"][0]


def test_sweeps_that_are_alike_are_put_together(
    served: dict[int, ServerRecord], tmp_path: Path
) -> None:
    for one in served.values():
        save_record(tmp_path, one)
    other = {
        "id": "server-float32-20260103T030405Z-0a1b2c", "created": "2026-01-03T03:04:05+00:00",
        "model": "other", "tensor_parallel": 8,
    }  # fmt: skip
    save_record(tmp_path, served[4].model_copy(update=other))
    assert alike(tmp_path, served[2]) == served
    called = CliRunner().invoke(
        app, ["predict", "--out", str(tmp_path), "--tensor-parallel", "8", "--batch", "2"]
    )
    # the newest is the other model's, alone
    assert "on 8 devices alone" in str(called.exception)
    path = next(tmp_path.rglob(f"{served[2].id}.json"))
    shown = CliRunner().invoke(
        app, ["predict", "--out", str(tmp_path), "--profile", str(path),
              "--tensor-parallel", "8", "--batch", "2"],
    )  # fmt: skip
    assert shown.exit_code == 0, shown.exception
    assert f"{1e3 * seconds(8, 5, 2):.2f}" in shown.stdout


def test_links_decide_between_devices_of_a_roofline() -> None:
    asked = {
        link: HardwareScenario("Llama-3.1-70B", "Llama-3.2-1B", "H100-SXM", link, "bfloat16",
                               0.8, (4,), 8, 1000)
        for link in ("NVLink-4", "Ethernet-25G")
    }  # fmt: skip
    (one,) = scenarios(asked["NVLink-4"], [1])
    (fast,) = scenarios(asked["NVLink-4"], [8])
    (slow,) = scenarios(asked["Ethernet-25G"], [8])
    assert one["round_communication"] == 0
    assert fast["round_seconds"] < slow["round_seconds"]
    assert fast["round_communication"] < slow["round_communication"] < 1
    assert fast["tau"] == slow["tau"] == one["tau"]


def test_replicas_multiply_what_one_does_with_its_share() -> None:
    fixed = ("Llama-3.1-8B", "Llama-3.2-1B", "H100-SXM", None, "bfloat16", 0.8, (4,))
    (alone,) = scenarios(HardwareScenario(*fixed, batch=4, context=500), [1])
    (both,) = scenarios(HardwareScenario(*fixed, batch=8, context=500, replicas=2), [1])
    assert both["round_seconds"] == alone["round_seconds"]
    assert both["tokens_per_s"] == 2 * alone["tokens_per_s"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--link", "NVLink-4"], "--link needs --hardware"),
        (["--batch", "2"], "--batch needs --tensor-parallel or --hardware"),
        (["--hardware", "H100-SXM", "--tensor-parallel", "2"], "2 devices need a link"),
        (["--hardware", "H100"], "'H100' is not in the table; similar: H100"),
        (["--hardware", "L4", "--dtype", "int3"], "dtype must be one of .*, not 'int3'"),
        (["--hardware", "L4", "--replicas", "2"], "replicas must be in 1 to the batch 1, not 2"),
        (["--hardware", "L4", "--link", "PCIe-4", "--tensor-parallel", "3"], "divide the 64 heads"),
        (["--tensor-parallel", "2"], "holds no sweep over servers"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], told: str, tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["predict", "--out", str(tmp_path), *arguments])
    with pytest.raises(type(ended.exception), match=told):
        raise ended.exception  # type: ignore[misc]
    assert len(str(ended.exception).splitlines()) == 1
