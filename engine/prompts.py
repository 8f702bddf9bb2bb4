"""Prompts to decode: a JSONL file, or functions cut from held-out library modules."""

import ast
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from engine.errors import InputError
from engine.training.corpus import held_out_files

_MIN_BODY_LINES = 3
_MAX_CHARACTERS = 1200
_MIN_CHARACTERS = 200
_PASSAGE_LINES, _PASSAGE_EVERY = 14, 40


@dataclass(frozen=True)
class Prompts:
    """A named list of prompt texts.

    Attributes
    ----------
    name : str
        File name, or ``held-out stdlib``.
    texts : tuple of str
    sources : tuple of str
        Where each text is from, if known; texts of one source are alike.
    """

    name: str
    texts: tuple[str, ...]
    sources: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Digest of all texts, in order."""
        return hashlib.sha256("\0".join(self.texts).encode()).hexdigest()

    def encode(self, tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
        """Token ids of every prompt, without special tokens.

        Raises
        ------
        InputError
            If a prompt has no tokens; says which.
        """
        encoded = [
            tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
            for text in self.texts
        ]
        for number, ids in enumerate(encoded, start=1):
            if not ids:
                raise InputError(f"prompt {number} of {self.name} has no tokens")
        return encoded

    def take(self, number: int | None) -> "Prompts":
        """The first ``number`` prompts, or all for None.

        Raises
        ------
        InputError
            If number is below 1.
        """
        if number is None:
            return self
        if number < 1:
            raise InputError(f"number of prompts must be at least 1, not {number}")
        return Prompts(self.name, self.texts[:number], self.sources[:number])

    def halves(self) -> tuple["Prompts", "Prompts"]:
        """Every other prompt of each source: one half to calibrate on, the other to predict.

        So both halves see all there is. A text that stands in both is left out of the second.

        Raises
        ------
        InputError
            If a half would be empty.
        """
        halves: tuple[list[str], list[str]] = ([], [])
        last: dict[str, int] = {}
        for text, source in zip(self.texts, self.sources or [""] * len(self.texts), strict=True):
            smaller = int(len(halves[1]) < len(halves[0]))
            last[source] = 1 - last.get(source, 1 - smaller)
            halves[last[source]].append(text)
        first, second = halves[0], [text for text in halves[1] if text not in halves[0]]
        if not second:
            raise InputError(f"{self.name} has too few different prompts to be cut into halves")
        return (
            Prompts(f"{self.name}, half 1", tuple(first)),
            Prompts(f"{self.name}, half 2", tuple(second)),
        )


def read_prompts(path: Path) -> Prompts:
    """Prompts from a JSONL file with a field ``prompt`` on every line.

    Raises
    ------
    InputError
        If the file is missing, empty or malformed; names the line.
    """
    if not path.is_file():
        raise InputError(f"no prompt file '{path}'")
    texts = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"prompt file '{path}' is not UTF-8 text: {error.reason}") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"'{path}' line {number} is not JSON: {error.msg}") from None
        if not isinstance(row, dict) or not isinstance(row.get("prompt"), str):
            raise InputError(f"'{path}' line {number} has no text field 'prompt'")
        if not row["prompt"]:
            raise InputError(f"'{path}' line {number} has an empty prompt")
        texts.append(row["prompt"])
    if not texts:
        raise InputError(f"prompt file '{path}' holds no prompts")
    return Prompts(path.name, tuple(texts))


def held_out_prompts() -> Prompts:
    """Signatures and docstrings of functions in the held-out standard-library modules.

    The model is to write the body. Functions are taken round robin over the
    modules, so that the first n prompts span as many modules as possible.
    """
    return _round_robin("held-out stdlib", _function_heads)


def held_out_passages() -> Prompts:
    """Passages out of the middle of the held-out modules, which the model is to go on with.

    Taken round robin over the modules, as ``held_out_prompts``.
    """
    return _round_robin("held-out passages", _passages)


def _round_robin(name: str, texts_of: Callable[[Path], list[str]]) -> Prompts:
    """What is cut from every held-out module, taken in turns; a text that returns counts once."""
    files = held_out_files()
    per_module = [texts_of(path) for path in files]
    longest = max(map(len, per_module), default=0)
    chosen = [
        (texts[i], path.stem)
        for i in range(longest)
        for path, texts in zip(files, per_module, strict=True)
        if i < len(texts)
    ]
    once = {text: source for text, source in reversed(chosen)}
    kept = [(text, source) for text, source in chosen if once.pop(text, None) == source]
    return Prompts(name, tuple(t for t, _ in kept), tuple(s for _, s in kept))


def _passages(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = range(_PASSAGE_EVERY, len(lines) - _PASSAGE_LINES, _PASSAGE_EVERY)
    passages = ["\n".join(lines[at : at + _PASSAGE_LINES]) + "\n" for at in starts]
    return [text for text in passages if _MIN_CHARACTERS <= len(text) <= _MAX_CHARACTERS]


def _function_heads(path: Path) -> list[str]:
    """Source of every documented top-level function or method up to its docstring's end."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    heads = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef) or ast.get_docstring(node) is None:
            continue
        docstring_end = node.body[0].end_lineno or node.lineno
        if (node.end_lineno or docstring_end) - docstring_end < _MIN_BODY_LINES:
            continue
        head = "\n".join(lines[node.lineno - 1 : docstring_end]) + "\n"
        if len(head) <= _MAX_CHARACTERS:
            heads.append(head)
    return heads
