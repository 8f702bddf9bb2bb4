"""The diffusion study end to end on the embedded models, a few tokens long."""

from pathlib import Path

import pytest

from app.pair import PairOptions
from app.studies import specdiff, specdiff_published
from engine.errors import InputError
from measurements import StudyRecord
from tests.tiny_models import save_tiny_pair

PAIR = PairOptions(device="cpu", num_prompts=2, new_tokens=8)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def record(state: Path) -> StudyRecord:
    return specdiff.study(PAIR, True, state)


def test_every_table_is_filled_and_the_numbers_hang_together(record: StudyRecord) -> None:
    rows = record.tables[specdiff_published.SETTINGS]
    assert {row["sampling"] for row in rows} == {"T0", "T1"}
    assert {row["filled"] for row in rows} == {"token by token", "left to right", "in place"}
    for row in rows:
        assert row["tau"] == pytest.approx(1 + row["accepted_per_draft"])
        assert (row["same_texts"] is None) == (row["sampling"] == "T1")
        assert 1 <= row["tau"] <= row["num_draft_tokens"] + 1
        assert row["speedup_low"] <= row["speedup"] <= row["speedup_high"]
        assert row["draft_s"] + row["target_s"] < row["round_s"]
    for row in record.tables[specdiff_published.NEEDED]:
        fast_enough = row["speedup"] >= row["speedup_to_equal"]
        wanted = row["acceptance_rate_to_equal"]
        if wanted is not None and not fast_enough:
            assert wanted > row["acceptance_rate_to_gain"]
    here = [r for r in record.tables[specdiff_published.RATIOS] if r["where"].startswith("here")]
    assert [r["where"] for r in here] == ["here, T0", "here, T1"]
    assert record.notes and all("nan" not in note for note in record.notes)


def test_an_interrupted_study_decodes_only_what_is_missing(
    record: StudyRecord, state: Path
) -> None:
    log = state / "specdiff.jsonl"
    whole = log.read_text().splitlines(keepends=True)
    log.write_text("".join(whole[:-1]))
    again = specdiff.study(PAIR, True, state)
    lines = log.read_text().splitlines(keepends=True)
    assert lines[:-1] == whole[:-1] and len(lines) == len(whole)
    names = ("sampling", "drafter", "num_draft_tokens", "draft_calls", "filled", "tau")
    before, after = (
        [[row[n] for n in names] for row in made.tables[specdiff_published.SETTINGS]]
        for made in (record, again)
    )
    assert before == after


def test_figures_come_from_the_record_alone(record: StudyRecord) -> None:
    read_back = StudyRecord.model_validate_json(record.model_dump_json())
    figures = specdiff.figures(read_back)
    assert len(figures) == 5
    for figure in figures.values():
        assert figure.data and all(len(trace.x) == len(trace.y) > 0 for trace in figure.data)


def test_a_target_without_a_drafter_is_told_how_to_make_one(tmp_path: Path) -> None:
    target, draft = save_tiny_pair(tmp_path, "llama", context=512)
    pair = PairOptions(str(target), str(draft), device="cpu", num_prompts=1, new_tokens=4)
    with pytest.raises(InputError, match=r"no diffusion drafter .*speculens train diffusion"):
        specdiff.study(pair, True, tmp_path)
