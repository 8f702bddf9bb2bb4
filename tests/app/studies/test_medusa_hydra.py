"""The study of heads end to end on the embedded models, a few tokens long."""

from pathlib import Path

import pytest

from app.pair import PairOptions
from app.studies import medusa_hydra, medusa_hydra_published
from engine.errors import InputError
from measurements import StudyRecord
from tests.tiny_models import save_tiny_pair

PAIR = PairOptions(device="cpu", num_prompts=1, new_tokens=10)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def record(state: Path) -> StudyRecord:
    return medusa_hydra.study(PAIR, True, state)


def test_every_table_is_filled_and_the_numbers_hang_together(record: StudyRecord) -> None:
    tables = record.tables
    assert [row["heads"] for row in tables[medusa_hydra_published.HEADS]] == [
        "medusa",
        "hydra",
        "mtp",
    ]
    for row in tables[medusa_hydra_published.ACCURACY]:
        tops = [row[f"top_{r}"] for r in range(1, 11)]
        assert tops == sorted(tops) and tops[-1] <= 1 + 1e-9
    for row in tables[medusa_hydra_published.SETTINGS]:
        assert row["tau"] == pytest.approx(1 + row["accepted_per_draft"])
        assert (row["same_texts"] is None) == (row["sampling"] == "T1")
        assert row["heads_steps"] + row["target_steps"] < row["overhead"]
        assert row["lossless"] == (row["rule"] != "typical")
    for row in tables[medusa_hydra_published.TREES]:
        assert row["tokens"] <= row["nodes"]
        assert 1 <= row["predicted_tau"] <= 1 + row["depth"]
    larger = [r for r in tables[medusa_hydra_published.TREES] if r["sampling"] == "T0"]
    for kind in ("medusa", "hydra"):
        predicted = [r["predicted_tau"] for r in larger if r["heads"] == kind]
        assert predicted == sorted(predicted)  # a larger tree holds the smaller one
    here = [r for r in tables[medusa_hydra_published.RATIOS] if r["where"].startswith("here")]
    assert len(here) == 4 and all(r["tau_ratio"] > 0 for r in here)
    assert record.notes and all("nan" not in note for note in record.notes)


def test_rules_that_are_the_same_at_temperature_0_keep_the_same(record: StudyRecord) -> None:
    rows = [r for r in record.tables[medusa_hydra_published.SETTINGS] if r["sampling"] == "T0"]
    for kind in ("medusa", "hydra"):
        tau = {
            r["rule"]: r["tau"]
            for r in rows
            if r["heads"] == kind and r["nodes"] == medusa_hydra.JUDGED
        }
        assert tau["match"] == tau["rejection"]


def test_a_repeated_study_decodes_nothing_again(record: StudyRecord, state: Path) -> None:
    before = (state / "medusa-hydra.jsonl").read_bytes()
    again = medusa_hydra.study(PAIR, True, state)
    assert again.tables == record.tables  # the very seconds come back
    assert (state / "medusa-hydra.jsonl").read_bytes() == before


def test_figures_come_from_the_record_alone(record: StudyRecord) -> None:
    read_back = StudyRecord.model_validate_json(record.model_dump_json())
    figures = medusa_hydra.figures(read_back)
    assert len(figures) == 5
    for figure in figures.values():
        assert figure.data and all(len(trace.x) == len(trace.y) > 0 for trace in figure.data)


def test_a_target_without_heads_is_told_how_to_make_some(tmp_path: Path) -> None:
    target, draft = save_tiny_pair(tmp_path, "llama", context=512)
    pair = PairOptions(str(target), str(draft), device="cpu", num_prompts=1, new_tokens=4)
    with pytest.raises(InputError, match=r"no medusa drafter .*speculens train medusa"):
        medusa_hydra.study(pair, True, tmp_path)
