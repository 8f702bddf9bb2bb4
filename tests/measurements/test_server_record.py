"""Does a record of servers come back whole, and refuse what cannot have been?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from measurements import (
    DATA,
    RecordError,
    ServedAnswer,
    ServedWave,
    ServerRecord,
    load_profile,
    load_server,
    save_record,
    scan,
)
from tests.factories import profile_header

ANSWER: dict[str, Any] = {
    "prompt": 0, "prompt_tokens": 5, "sent_s": 0.0, "arrivals_s": [0.1, 0.2], "sizes": [1, 3],
    "text_sha256": "0" * 64,
}  # fmt: skip
WAVE: dict[str, Any] = {
    "unit": 0, "num_draft_tokens": 2, "batch": 1, "answers": [ANSWER], "drafts": 1, "drafted": 2,
    "accepted_by_position": [1, 1],
}  # fmt: skip


def record(**fields: Any) -> ServerRecord:
    header = profile_header()
    return ServerRecord.model_validate(
        {
            "id": "server-float32-20260102T030405Z-0a1b2c", "created": header.created,
            "machine": header.machine, "dtype": "float32", "prompts": header.prompts,
            "new_tokens": 4, "complete": True, "engine": "vLLM", "engine_version": "0",
            "model": "big", "speculation": "draft-model", "draft": "small", "waves": [WAVE],
            **fields,
        }
    )  # fmt: skip


def test_it_comes_back_and_is_found(tmp_path: Path) -> None:
    path = save_record(tmp_path, record())
    assert path.parent.name == "big+small"
    assert load_server(path) == record()
    found = scan(tmp_path)
    assert [r for _, r in found.servers] == [record()]
    assert not found.problems
    with pytest.raises(RecordError, match="is a server record, a profile is needed"):
        load_profile(path)


def test_another_kind_is_refused() -> None:
    path = next(DATA.rglob("profile-*.json"))
    with pytest.raises(RecordError, match="is a profile record, a server's is needed"):
        load_server(path)


def test_without_a_draft_the_folder_is_named_after_the_method() -> None:
    assert record(draft=None, speculation="ngram").pair_slug == "big+ngram"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"arrivals_s": [0.2, 0.1]}, "in front of them"),
        ({"sent_s": 0.15}, "in front of them"),
        ({"sizes": [4]}, "1 sizes of 2 pieces"),
        ({"arrivals_s": [], "sizes": []}, "at least 1"),
    ],
)
def test_impossible_answers_are_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        ServedAnswer.model_validate({**ANSWER, **fields})


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"batch": 2}, "1 answers in a batch of 2"),
        ({"accepted_by_position": [2, 1]}, "3 drafts were kept of 2 drafted"),
    ],
)
def test_impossible_waves_are_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        ServedWave.model_validate({**WAVE, **fields})


def test_settings_need_the_profile_they_come_from() -> None:
    one = {"measured": 2.0, "predicted": 1.9}
    setting = {
        "num_draft_tokens": 2, "batch": 1, "units": 1, "tau": one, "survival_measured": [1.0],
        "survival_predicted": [1.0], "seconds_per_token": one, "speedup": None,
        "texts_as_traced": 1, "extrapolated": False,
    }  # fmt: skip
    with pytest.raises(ValidationError, match="profile_id is missing"):
        record(settings=[setting])
    kept = record(settings=[setting], profile_id="server-float32-20260102T030405Z-0a1b2d")
    assert kept.settings[0].tau.error == pytest.approx(-0.05)
