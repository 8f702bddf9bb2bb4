"""What is the key/value cache worth, by length of the generated text?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.pair import PairOptions
from app.terminal import progress_bar
from measurements import StudyRecord

if TYPE_CHECKING:
    import plotly.graph_objects as go

LENGTHS: Sequence[int] = (32, 64, 128, 256, 512)
NUM_PROMPTS = 4
TABLE = "greedy decoding with and without cache"


def study(pair: PairOptions, quick: bool, state: Path) -> StudyRecord:
    """Decode with and without cache, in turn; quick: one pass instead of three.

    It takes minutes and is not resumed: nothing is kept below ``state``.
    """
    from engine.model import wrap
    from profiler.describe import header
    from profiler.kv_cache import measure_kv_cache, summary
    from profiler.run import encode_checked

    target, draft = pair.load_pair()
    prompts = pair.load_prompts().take(pair.num_prompts or NUM_PROMPTS)
    lengths = [n for n in LENGTHS if n <= pair.new_tokens] or [pair.new_tokens]
    encoded = encode_checked(target, draft, prompts, max(lengths))
    # the loop without a cache knows no lean forward: the same one on both sides
    plain = wrap(target.name, target.hf, forward="transformers")
    with progress_bar() as show:
        samples = measure_kv_cache(
            plain, encoded, lengths, repeats=1 if quick else 3,
            report=lambda s: show(s.what, s.done, s.total),
        )  # fmt: skip
    rows: list[dict[str, Any]] = summary(samples).to_dict("records")  # type: ignore[assignment]
    return StudyRecord(
        **header("study", plain, draft, prompts, encoded, pair.dtype, max(lengths)),
        name="kv-cache",
        question="What is the key/value cache worth, by length of the generated text?",
        tables={TABLE: rows},
        notes=["speedup: median of paired ratios, prefill included; same_text: share of pairs"],
    )


def figures(record: StudyRecord) -> dict[str, go.Figure]:
    """Speed over length."""
    from app.style import FIDELITY_COLOURS, MEASURED, new_figure

    rows = record.tables[TABLE]
    figure = new_figure("generated tokens", "tokens/s")
    for column, name, colour in (
        ("cached_tokens_per_s", "with cache", MEASURED),
        ("naive_tokens_per_s", "without", FIDELITY_COLOURS["L2"]),
    ):
        figure.add_scatter(
            x=[row["new_tokens"] for row in rows],
            y=[row[column] for row in rows],
            mode="lines+markers",
            name=name,
            line={"color": colour},
        )
    figure.update_xaxes(type="log", tickvals=[row["new_tokens"] for row in rows])
    figure.update_yaxes(rangemode="tozero")
    return {"Speed by length of the text": figure}
