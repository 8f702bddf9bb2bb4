"""Records named by what they say: they merge, and a changed one is noticed."""

from pathlib import Path

import pytest

from measurements import (
    RecordError,
    SearchRun,
    load_search_runs,
    merge_search_runs,
    save_search_run,
)


def run(gamma: int, seconds: float = 0.5, **search: str) -> SearchRun:
    return SearchRun(
        search=search, method="chain", parameters={"num_draft_tokens": gamma},
        times=[(0, seconds, 1.0), (1, seconds, 1.25)],
    )  # fmt: skip


def test_a_record_is_one_file_however_often_it_is_saved(tmp_path: Path) -> None:
    first, second = (save_search_run(tmp_path, run(1)) for _ in range(2))
    other = save_search_run(tmp_path, run(1, seconds=0.25))
    assert first == second != other
    addresses = {one.address for one in load_search_runs(tmp_path)}
    assert addresses == {run(1).address, run(1, seconds=0.25).address}


def test_merging_is_a_union_in_any_order(tmp_path: Path) -> None:
    for folder, gammas in (("a", (1, 2)), ("b", (2, 3)), ("c", (4,))):
        for gamma in gammas:
            save_search_run(tmp_path / folder, run(gamma))
    a, b, c = (tmp_path / name for name in "abc")
    assert merge_search_runs([a, b, c], tmp_path / "one") == 4
    assert merge_search_runs([c, b], tmp_path / "two") == 3
    assert merge_search_runs([a], tmp_path / "two") == 1
    assert load_search_runs(tmp_path / "one") == load_search_runs(tmp_path / "two")


def test_edited_foreign_missing_and_mixed_records_are_refused(tmp_path: Path) -> None:
    path = save_search_run(tmp_path / "a", run(1))
    path.write_text(path.read_text().replace("0.5", "0.4"))
    with pytest.raises(RecordError, match="was edited after it was written"):
        load_search_runs(tmp_path / "a")
    path.write_text("{}\n")
    with pytest.raises(RecordError, match="is no search record: search: Field required"):
        load_search_runs(tmp_path / "a")
    with pytest.raises(RecordError, match="holds no search records"):
        load_search_runs(tmp_path / "nowhere")
    save_search_run(tmp_path / "b", run(1, machine="x"))
    save_search_run(tmp_path / "c", run(1, machine="y"))
    with pytest.raises(RecordError, match="of another search"):
        merge_search_runs([tmp_path / "b", tmp_path / "c"], tmp_path / "d")
    assert not (tmp_path / "d").exists()
    save_search_run(tmp_path / "b", run(2, machine="y"))
    with pytest.raises(RecordError, match="another machine than the rest"):
        load_search_runs(tmp_path / "b")
