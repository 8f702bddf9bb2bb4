import json
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.prompts import Prompts, held_out_passages, held_out_prompts, read_prompts
from engine.training.corpus import held_out_files
from tests.tiny_models import tiny_tokenizer


def test_embedded_prompts_are_documented_functions_without_their_bodies() -> None:
    prompts = held_out_prompts()
    assert len(prompts.texts) >= 100
    assert len(set(prompts.texts)) > 0.95 * len(prompts.texts)
    for text in prompts.texts:
        assert text.lstrip().startswith("def ")
        assert text.rstrip().endswith(('"""', "'''", '"', "'"))


def test_first_prompts_span_many_modules() -> None:
    first = held_out_prompts().take(24).texts
    assert len(set(first)) == 24


def test_passages_are_source_lines_of_held_out_modules() -> None:
    passages = held_out_passages()
    assert len(passages.texts) >= 200
    sources = [path.read_text(encoding="utf-8") for path in held_out_files()]
    for text in passages.texts[:40]:
        assert any(text in source for source in sources)
    assert len(set(passages.texts)) == len(passages.texts)


def test_halves_share_no_text() -> None:
    first, second = Prompts("p", ("a", "b", "c", "a", "d", "e")).halves()
    assert first.texts == ("a", "c", "d") and second.texts == ("b", "e")
    assert first.name != second.name
    with pytest.raises(InputError, match="too few different prompts"):
        Prompts("p", ("a", "a")).halves()


def test_jsonl_files_are_read_and_blank_lines_skipped(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({"prompt": "a", "id": 1}) + "\n\n" + json.dumps({"prompt": "b"}))
    prompts = read_prompts(path)
    assert prompts.texts == ("a", "b")
    assert prompts.take(1).texts == ("a",)
    assert prompts.sha256 != prompts.take(1).sha256


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no prompts"),
        ('{"prompt": "a"}\n{"prompt": ', "line 2 is not JSON"),
        ('{"prompt": "a"}\n\n{"text": "b"}', "line 3 has no text field 'prompt'"),
        ('["prompt"]', "line 1 has no text field 'prompt'"),
        ('{"prompt": ""}', "line 1 has an empty prompt"),
    ],
)
def test_bad_files_are_refused_with_the_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_prompts(path)


def test_missing_file_and_zero_prompts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no prompt file"):
        read_prompts(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="number of prompts must be at least 1, not 0"):
        Prompts("p", ("a",)).take(0)


def test_prompts_without_tokens_are_refused_by_number() -> None:
    tokenizer = tiny_tokenizer()
    assert Prompts("p", ("def",)).encode(tokenizer) == [tokenizer.encode("def")]
    with pytest.raises(InputError, match="prompt 2 of p has no tokens"):
        Prompts("p", ("def", "")).encode(tokenizer)
