"""Prompts to decode: a JSONL file, or functions cut from held-out library modules."""

import ast
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from engine.errors import InputError
from engine.training.corpus import held_out_files

_MIN_BODY_LINES = 3
_MAX_CHARACTERS = 1200


@dataclass(frozen=True)
class Prompts:
    """A named list of prompt texts.

    Attributes
    ----------
    name : str
        File name, or ``held-out stdlib``.
    texts : tuple of str
    """

    name: str
    texts: tuple[str, ...]

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
        return Prompts(self.name, self.texts[:number])


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
    per_module = [_function_heads(path) for path in held_out_files()]
    longest = max((len(heads) for heads in per_module), default=0)
    texts = [heads[i] for i in range(longest) for heads in per_module if i < len(heads)]
    return Prompts("held-out stdlib", tuple(texts))


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
