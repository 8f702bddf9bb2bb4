"""Do whole records join a folder, and does everything else leave it as it was?"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from measurements import import_records, scan
from measurements.files import seal
from tests.factories import (
    COMPARISON_ID,
    PROFILE_ID,
    VALIDATION_ID,
    write_demo,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("elsewhere")
    write_demo(root)
    return {path.name: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def holds(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_whole_records_join_and_read_as_before(files, tmp_path):
    done = import_records(files, tmp_path / "new")
    assert set(done.accepted) == {PROFILE_ID, VALIDATION_ID, COMPARISON_ID}
    assert done.refused == ()
    found = scan(tmp_path / "new")
    assert not found.problems
    assert [len(x) for x in (found.profiles, found.validations, found.comparisons)] == [1, 1, 1]
    written = {Path(name).name: content for name, content in holds(tmp_path / "new").items()}
    assert written == files


def test_a_second_import_changes_nothing(files, tmp_path):
    import_records(files, tmp_path)
    before = holds(tmp_path)
    done = import_records(files, tmp_path)
    assert done.accepted == ()
    assert all("already" in reason for name, reason in done.refused if name.endswith(".json"))
    assert holds(tmp_path) == before


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda f: f.pop(f"{PROFILE_ID}.stages.parquet"), "stages.parquet cannot be read"),
        (lambda f: f.update({f"{PROFILE_ID}.stages.parquet": b"x"}), "truncated or changed"),
        (lambda f: f.update({f"{PROFILE_ID}.json": b"{"}), "is not JSON"),
        (lambda f: f.update({f"{PROFILE_ID}.json": b"[]"}), "not a speculens record"),
        (
            lambda f: f.update({f"{PROFILE_ID}.json": f[f"{PROFILE_ID}.json"].replace(b"4", b"5")}),
            "was edited",
        ),
    ],
)
def test_a_spoilt_record_is_refused_with_its_reason_and_the_others_join(
    files, tmp_path, spoil, reason
):
    given = dict(files)
    spoil(given)
    done = import_records(given, tmp_path)
    assert set(done.accepted) == {VALIDATION_ID, COMPARISON_ID}
    assert any(name == f"{PROFILE_ID}.json" and reason in why for name, why in done.refused)
    assert all("parquet" not in name for name in holds(tmp_path)), "no table without its record"
    assert not scan(tmp_path).problems


@pytest.mark.parametrize("name", ["../evil.json", "/etc/passwd", "a/b.json", ".hidden", "", "a\nb"])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    done = import_records({name: b"{}"}, tmp_path / "inner")
    assert done.accepted == () and len(done.refused) == 1
    assert holds(tmp_path) == {}


def test_a_table_alone_is_refused(files, tmp_path):
    name = f"{PROFILE_ID}.stages.parquet"
    done = import_records({name: files[name]}, tmp_path)
    assert done.refused == ((name, "belongs to no record that was accepted"),)


def test_a_folder_that_cannot_be_written_is_a_reason(files, tmp_path):
    (tmp_path / "file").write_text("")
    done = import_records(files, tmp_path / "file")
    assert done.accepted == () and any("cannot be written" in why for _, why in done.refused)


def with_stages(files: dict[str, bytes], table: pd.DataFrame) -> dict[str, bytes]:
    """The profile alone with other stage times, and a record that vouches for them."""
    name = f"{PROFILE_ID}.stages.parquet"
    changed = {key: value for key, value in files.items() if key.startswith(PROFILE_ID)}
    buffer = io.BytesIO()
    table.to_parquet(buffer, compression="zstd")
    changed[name] = buffer.getvalue()
    record = json.loads(files[f"{PROFILE_ID}.json"])
    record["stages_sha256"] = hashlib.sha256(changed[name]).hexdigest()
    del record["record_sha256"]
    sealed = {**record, "record_sha256": seal(record)}
    changed[f"{PROFILE_ID}.json"] = json.dumps(sealed).encode()
    return changed


@pytest.mark.parametrize("value", [float("nan"), -1e-3, float("inf")])
def test_times_that_are_none_are_refused(files, tmp_path, value):
    table = pd.read_parquet(io.BytesIO(files[f"{PROFILE_ID}.stages.parquet"]))
    table.loc[3, "seconds"] = value
    done = import_records(with_stages(files, table), tmp_path)
    assert done.accepted == () and holds(tmp_path) == {}
    assert any("seconds" in why and "\n" not in why for _, why in done.refused)


def test_a_table_that_swells_when_read_is_refused(files, tmp_path):
    """A hundred kilobytes on disk, 21 million rows in memory."""
    bomb = with_stages(files, pd.DataFrame({"seconds": np.zeros(21_000_000, np.int8)}))
    assert sum(map(len, bomb.values())) < 2_000_000
    done = import_records(bomb, tmp_path)
    assert done.accepted == () and holds(tmp_path) == {}
    assert any("has 21000000 rows, above 20000000" in why for _, why in done.refused)


def test_a_file_of_a_hundred_megabytes_is_refused(tmp_path):
    done = import_records({"a.json": bytes(100_000_000)}, tmp_path)
    assert done.refused == (("a.json", "has 100 MB, above 67"),) and holds(tmp_path) == {}


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.json", b"\xff\xfe{}"), ("a.txt", b"{}"), ("a.zip", b"PK\x03\x04"), ("a.json", b"")],
)
def test_other_files_are_refused_in_one_line(tmp_path, name, content):
    done = import_records({name: content}, tmp_path)
    assert done.accepted == () and holds(tmp_path) == {}
    ((refused, why),) = done.refused
    assert refused == name and why and "\n" not in why


@pytest.mark.parametrize("name", ["..\\evil.json", "C:\\a.json", "a\x00.json", "a" * 300 + ".json"])
def test_names_of_other_systems_and_endless_ones_are_refused(tmp_path, name):
    done = import_records({name: b"{}"}, tmp_path / "inner")
    assert done.accepted == () and len(done.refused) == 1 and holds(tmp_path) == {}
    assert all(len(shown) <= 80 and "\n" not in why for shown, why in done.refused)


@pytest.mark.parametrize("elsewhere", ["../outside.parquet", "/etc/hostname", "..\\x.parquet"])
def test_a_record_that_names_a_table_elsewhere_reads_nothing_there(files, tmp_path, elsewhere):
    """Sealed rightly, hash and all: the name alone must be enough to refuse it."""
    secret = files[f"{PROFILE_ID}.stages.parquet"]
    (tmp_path / "outside.parquet").write_bytes(secret)
    before = holds(tmp_path)
    record = json.loads(files[f"{PROFILE_ID}.json"])
    record |= {"stages_file": elsewhere, "stages_sha256": hashlib.sha256(secret).hexdigest()}
    del record["record_sha256"]
    sealed = {**record, "record_sha256": seal(record)}
    given = {**files, f"{PROFILE_ID}.json": json.dumps(sealed).encode()}
    done = import_records(given, tmp_path / "data")
    assert PROFILE_ID not in done.accepted
    assert any("stages_file" in why and "\n" not in why for _, why in done.refused)
    left = {name: content for name, content in holds(tmp_path).items() if "data" not in name}
    assert left == before


def test_acceptance_that_is_no_probability_is_refused(files, tmp_path):
    """As the times above, but in a trace: its hash is right, its values are not."""
    record = json.loads(files[f"{PROFILE_ID}.json"])
    info = record["traces"][0]
    for value in (float("nan"), -0.5, 1.5):
        table = pd.read_parquet(io.BytesIO(files[info["file"]]))
        table.loc[3, "accept_prob"] = value
        buffer = io.BytesIO()
        table.to_parquet(buffer)
        info["sha256"] = hashlib.sha256(buffer.getvalue()).hexdigest()
        bare = {key: part for key, part in record.items() if key != "record_sha256"}
        sealed = {**bare, "record_sha256": seal(bare)}
        given = {key: part for key, part in files.items() if key.startswith(PROFILE_ID)}
        given |= {
            info["file"]: buffer.getvalue(),
            f"{PROFILE_ID}.json": json.dumps(sealed).encode(),
        }
        done = import_records(given, tmp_path)
        assert done.accepted == () and holds(tmp_path) == {}
        assert any("accept_prob" in why and "\n" not in why for _, why in done.refused), value
