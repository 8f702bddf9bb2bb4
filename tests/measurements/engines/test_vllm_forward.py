"""Timed forwards of vLLM: a sample to hand-computed times; what is no such file is refused."""

from pathlib import Path

import pytest

from measurements import RecordError
from measurements.engines import read_forwards, recognise

SAMPLE = Path(__file__).parent / "samples" / "vllm_forward.json"


def test_decode_steps_are_read_and_prefills_left_out() -> None:
    cases = read_forwards(SAMPLE)
    assert [(c.name, c.batch, c.num_tokens, c.with_drafter) for c in cases] == [
        ("decode", 2, 1, False), ("verify", 2, 4, False), ("deep", 2, 6, False),
        ("verify-drafted", 2, 4, True),
    ]  # fmt: skip
    assert [c.seconds for c in cases] == pytest.approx([0.010, 0.013, 0.015, 0.019])
    assert {c.context for c in cases} == {1028.0}  # 1024 and 8 more, one request each


def test_it_is_told_from_files_with_acceptance() -> None:
    with pytest.raises(RecordError, match="no acceptance: give it as --forward"):
        recognise(SAMPLE)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"median_us": 10000.0', '"median_us": 11000.0', "entry 1: 'median_us' says 11000"),
        ('"timing_scope": "target_only"', '"timing_scope": "all"', "entry 1: 'timing_scope' must"),
        ('"query_len": 1,', '"query_len": 0,', r"entry 1: 'query_len' must be finite and >= 1"),
        ('"ranks": [{"num_tokens": 2,', '"rank": [{"num_tokens": 2,', "entry 1: 'ranks' must be"),
        ('"latency_us": {"timer"', '"latency": {"timer"', "entry 1: 'latency_us' must be a JSON"),
    ],
)
def test_faults_are_named_by_entry_and_key(tmp_path: Path, old: str, new: str, reason: str) -> None:
    text = SAMPLE.read_text()
    assert old in text
    path = tmp_path / "forward.json"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(RecordError, match=reason):
        read_forwards(path)


def test_a_truncated_file_and_one_of_prefills_are_refused(tmp_path: Path) -> None:
    cut, prefills = tmp_path / "cut.json", tmp_path / "prefills.json"
    lines = SAMPLE.read_text().splitlines()
    cut.write_text("\n".join(lines[:3]))
    prefills.write_text("[" + lines[-2] + "]")
    with pytest.raises(RecordError, match="truncated or no JSON"):
        read_forwards(cut)
    with pytest.raises(RecordError, match="no case of equal decode requests"):
        read_forwards(prefills)
