"""Folders of vLLM's pages: loads between them, their batch, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from measurements import RecordError
from measurements.engines import read_reports, recognise, survival_of_hazards

SAMPLES = Path(__file__).parent / "samples"
PAGES = SAMPLES / "vllm_pages" / "served"


def page(
    requests: int,
    steps_each: int,
    tokens_each: int,
    engine_steps: int,
    kept: tuple[int, ...] = (),
    drafts: int = 0,
    model: str = "m",
    born: float = 1.0,
) -> str:
    """A page whose counters say: so many requests, steps and tokens of each, seconds 10 ms."""
    observed = {
        "generation_tokens_total": requests * tokens_each,
        "generation_tokens_created": born,
        "iteration_tokens_total_count": engine_steps,
        "inter_token_latency_seconds_count": requests * steps_each,
        "request_time_per_output_token_seconds_count": requests,
        "request_time_per_output_token_seconds_sum": 0.010 * requests,
        "e2e_request_latency_seconds_count": requests,
        "e2e_request_latency_seconds_sum": 0.5 * requests,
    }
    if kept:
        observed |= {
            "spec_decode_num_drafts_total": drafts,
            "spec_decode_num_draft_tokens_total": drafts * len(kept),
            "spec_decode_num_accepted_tokens_total": sum(kept),
        }
    lines = [f'vllm:{name}{{model_name="{model}"}} {value}' for name, value in observed.items()]
    name = "vllm:spec_decode_num_accepted_tokens_per_pos_total"
    lines += [f'{name}{{model_name="{model}",position="{i}"}} {n}' for i, n in enumerate(kept)]
    return "\n".join(lines) + "\n"


def server(folder: Path, **pages: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in pages.items():
        (folder / f"{name.replace('_', '-')}.prom").write_text(text)
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(RecordError) as caught:
        read_reports([folder], "vllm-snapshots")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_load_is_the_growth_since_the_page_before(tmp_path: Path) -> None:
    # 20 requests of 8 steps and 21 tokens behind 4 warm-up ones: 160 steps, 150 of them drafted
    folder = server(
        tmp_path / "k2",
        start=page(4, 8, 21, 40, (20, 10), 32),
        batch_4=page(24, 8, 21, 40 + 45, (20 + 140, 10 + 100), 32 + 150),
    )
    assert recognise(folder) == recognise(tmp_path) == "vllm-snapshots"
    (report,) = read_reports([tmp_path])
    assert report.tau == pytest.approx(1 + 240 / 150)
    assert survival_of_hazards(report.hazards) == pytest.approx((140 / 150, 100 / 150))
    assert (report.rounds, report.steps, report.num_requests) == (150, 160, 20)
    assert (report.batch, report.seconds_per_output_token) == (4, pytest.approx(0.010))
    assert report.request_seconds == pytest.approx(0.5)
    assert (report.source, report.turn) == ("k2/batch-4.prom", "batch-4.prom")


def test_a_plain_server_is_a_baseline_and_an_unnamed_batch_is_counted(tmp_path: Path) -> None:
    # 12 requests of 19 steps and a first token, 240 in 80 engine steps: 3 at a time
    server(tmp_path / "plain", a=page(1, 19, 20, 20), b=page(13, 19, 20, 20 + 80))
    (report,) = read_reports([tmp_path])
    assert (report.tau, report.num_draft_tokens, report.batch) == (1.0, 0, 3)


def test_pages_stand_in_the_order_of_the_servers_life_not_of_their_names(tmp_path: Path) -> None:
    pages = {
        "z": page(1, 19, 20, 20),
        "batch_2": page(9, 19, 20, 20 + 80),
        "batch_1": page(13, 19, 20, 20 + 80 + 80),
    }
    reports = read_reports([server(tmp_path / "plain", **pages)])
    assert [report.batch for report in reports] == [2, 1]


def test_the_sample_is_what_its_counters_say() -> None:
    reports = read_reports([PAGES])
    assert len(reports) == 48
    (one,) = [r for r in reports if r.source == "k4/batch-4.1.prom"]
    # batch-4.1 less batch-1.1, the page before it; every step drafts
    assert (one.rounds, one.steps, one.accepted_tokens) == (362 - 197, 165, 764 - 406)
    assert one.tau == pytest.approx(1 + 358 / 165)
    assert (one.num_requests, one.tokens) == (8, 8 * 64)
    assert {r.model for r in reports} == {"python-13m"}


def test_what_cannot_be_told_is_refused(tmp_path: Path) -> None:
    before, after = page(1, 19, 20, 20), page(13, 19, 20, 20 + 80)
    two = page(13, 19, 20, 20 + 80, born=2.0)
    cases = {
        "holds 1 page": {"a": before},
        "named batch 11: its counters say 3.00 sequences a step": {"a": before, "batch_11": after},
        "named batch 2": {"a": before, "batch_2": after},
        "2 lives of a server": {"a": before, "b": two},
        "is truncated": {"a": before, "b": after.rstrip()},
        "no Prometheus sample": {"a": before, "b": after + "nonsense\n"},
        "lacks the metric": {"a": before, "b": 'vllm:other{model_name="m"} 1\n'},
        "counts no finished request": {"a": before, "b": before},
        "models": {"a": before, "b": after + page(13, 19, 20, 20 + 80, model="other")},
        "counted 0 drafts": {
            "a": page(1, 19, 20, 20, (1,), 1), "b": page(13, 19, 20, 100, (1,), 1),
        },
    }  # fmt: skip
    for number, (told, pages) in enumerate(cases.items()):
        assert told in refusal(server(tmp_path / str(number), **pages)), told
    assert "is no folder" in refusal(tmp_path / "0" / "a.prom")
    (tmp_path / "empty").mkdir()
    assert "holds no metrics page" in refusal(tmp_path / "empty")
