"""Are the help texts the definitions of docs/nomenclature.md, word for word?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.glossary import TERMS, explain

TABLE = (Path(__file__).parents[2] / "docs" / "nomenclature.md").read_text(encoding="utf-8")


def _row(name: str) -> list[str]:
    for line in TABLE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if re.split(r"[ (]", cells[0].strip())[0] == name or cells[0] == name:
            return cells
    raise AssertionError(f"{name} is not in docs/nomenclature.md")


@pytest.mark.parametrize("name", TERMS)
def test_every_term_is_the_row_of_the_table(name):
    term, (_, symbol, unit, definition) = TERMS[name], _row(name)
    assert definition == term.definition or definition.startswith(f"{term.definition}; see [")
    assert symbol == (term.symbol or "–")
    assert unit == (term.unit or "–")


def test_an_explanation_says_term_symbol_unit_and_definition():
    text = explain("mean_emitted", "cost_ratio", note="Replayed.")
    assert text.startswith("Replayed.\n\n**mean_emitted τ** [tokens/round]: all emitted tokens")
    assert "**cost_ratio c**: one draft call" in text
    with pytest.raises(KeyError):
        explain("acceptance length")
