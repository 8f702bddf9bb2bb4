"""Does speculative decoding pay for this pair on this machine?"""

from __future__ import annotations

import streamlit as st

from app import figures, words
from app.data import Evidence, Predicted, try_predictions
from app.figures import CurvePoint
from app.glossary import explain
from app.views import frame
from measurements import SettingRow

QUESTION = "Does speculative decoding pay here?"


def show() -> None:
    """Verdict, speedup over γ, time split, conditions."""
    entry = frame.selected()
    if entry is None:
        st.title(QUESTION, anchor=False)
        frame.no_record("of any model pair")
        return
    predicted = try_predictions(entry)
    measured = words.by_sampling(entry.validation.settings) if entry.validation else {}
    if not predicted and not measured:
        st.title(QUESTION, anchor=False)
        frame.no_record("with a usable profile or validation")
        return
    frame.headline(QUESTION, _verdict(entry, predicted))
    if entry.validation:
        st.markdown(f"{words.foretold(entry.validation)} {_near(predicted)}")
    _cards(entry, predicted, measured)
    st.subheader("Speedup by number of draft tokens", anchor=False)
    st.caption(
        "Lines are predictions at three fidelities, made from the profile alone; points are decoded"
        " for real with 90\u00a0% intervals. Above 1× speculation gains."
    )
    labels = list(dict.fromkeys([*measured, *predicted]))
    for column, label in zip(st.columns(len(labels)), labels, strict=True):
        rows = measured.get(label, [])
        sampling = rows[0].sampling if rows else predicted[label].sampling
        with column:
            st.markdown(f"**{words.sampling_name(sampling)}**")
            figure = figures.speedup_by_draft_tokens(_curve(label, predicted, rows), rows)
            frame.chart(figure, f"speedup_{label}", f"Speedup over draft tokens at {label}")
    if entry.validation:
        _time(entry, measured)
    _conditions(entry)


def _verdict(entry: Evidence, predicted: dict[str, Predicted]) -> str:
    if entry.validation:
        return words.measured_verdict(entry.validation)
    return words.predicted_verdict(
        {label: (one.sampling, one.optimum.best) for label, one in predicted.items()}
    )


def _near(predicted: dict[str, Predicted]) -> str:
    """Which neighbours of the predicted best are as good, as far as can be told."""
    parts = [
        f"{words.gamma(words.whole_numbers(sorted([one.optimum.best.num_draft_tokens, *near])))}"
        f" at {words.sampling_name(one.sampling)}"
        for one in predicted.values()
        if (near := one.optimum.indistinguishable)
    ]
    return f"As good, as far as can be told: {words.listing(parts)}." if parts else ""


def _cards(
    entry: Evidence, predicted: dict[str, Predicted], measured: dict[str, list[SettingRow]]
) -> None:
    labels = list(dict.fromkeys([*measured, *predicted]))
    columns = st.columns(len(labels) + (2 if entry.validation else 0))
    for column, label in zip(columns, labels, strict=False):
        with column:
            if label in measured:
                best = words.best_measured(measured[label])
                s = best.speedup
                frame.card(
                    f"Measured, {words.setting_name(best)}",
                    words.times(s.measured),
                    f"90 %: {words.span(s.measured_low, s.measured_high)}",
                    _doubt(best, predicted.get(label)),
                )
            else:
                one = predicted[label].optimum.best
                frame.card(
                    f"Predicted, {words.sampling_name(predicted[label].sampling)},"
                    f" {words.gamma(one.num_draft_tokens)}",
                    words.times(one.speedup.L2),
                    f"90 %: {words.span(one.speedup_low or 0, one.speedup_high or 0)}",
                    _doubt(None, predicted[label]),
                )
    if entry.validation:
        summary = entry.validation.summary
        with columns[-2]:
            frame.card(
                "Prediction error",
                words.percent(summary.median_abs_error),
                f"median, {words.percent(summary.max_abs_error)} at worst",
                "Of the replayed (L2) speedup, relative to the measured one, over all settings.",
            )
        with columns[-1]:
            frame.card(
                "Time explained",
                words.percent(summary.time_explained),
                "of wall time, at least",
                "Share of the measured time that the timed stages add up to.",
            )


def _doubt(measured: SettingRow | None, one: Predicted | None) -> str:
    notes = [explain("speedup", "num_draft_tokens")]
    if measured is not None:
        s = measured.speedup
        notes.append(
            f"Predicted {words.times(s.L2)}, 90\u00a0% interval {words.span(s.L2_low, s.L2_high)}."
        )
    if one is not None and one.optimum.indistinguishable:
        near = words.listing(sorted(one.optimum.indistinguishable))
        best = words.gamma(one.optimum.best.num_draft_tokens)
        notes.append(f"{words.gamma(near)} cannot be told apart from the predicted best, {best}.")
    return "\n\n".join(notes)


def _curve(label: str, predicted: dict[str, Predicted], rows: list[SettingRow]) -> list[CurvePoint]:
    if label in predicted:
        return figures.points_from_predictions(predicted[label].optimum.predictions)
    return figures.points_from_settings(rows)


def _time(entry: Evidence, measured: dict[str, list[SettingRow]]) -> None:
    assert entry.validation is not None
    st.subheader("Where the time goes", anchor=False)
    st.caption("Measured time for one emitted token. The lower the bar, the faster the decoding.")
    baselines = {row.sampling.label: row for row in entry.validation.autoregressive}
    shown = {label: rows for label, rows in measured.items() if label in baselines}
    for column, (label, rows) in zip(st.columns(max(len(shown), 1)), shown.items(), strict=False):
        with column:
            st.markdown(f"**{words.sampling_name(rows[0].sampling)}**")
            figure = figures.time_per_token(rows, baselines[label])
            frame.chart(figure, f"time_{label}", f"Time per token by stage at {label}")


def _conditions(entry: Evidence) -> None:
    record = entry.record
    st.subheader("What was measured", anchor=False)
    pair = [
        ("Target", words.model_facts(record.target)),
        ("Draft", words.model_facts(record.draft)),
        (
            "Text",
            f"{record.prompts.num_prompts} prompts of {record.prompts.name}, mean"
            f" {record.prompts.mean_prompt_tokens:.0f} tokens, {record.new_tokens} new tokens each",
        ),
        ("Recorded", f"{words.moment(record.created)}, record {record.id}"),
    ]
    left, right = st.columns(2)
    for column, facts in ((left, pair), (right, words.machine_facts(record.machine, record.dtype))):
        with column, st.container(border=True, height="stretch"):
            for label, value in facts:
                frame.fact(label, value)


if __name__ == "__main__":
    show()
