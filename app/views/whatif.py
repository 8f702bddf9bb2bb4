"""What would speculation gain with another draft, another cost, other text?"""

from __future__ import annotations

import streamlit as st

from app import figures, words
from app.data import Evidence, try_predictions
from app.glossary import explain
from app.state import WANTED, Choice, Desk
from app.views import frame, pinned
from app.views.asked import ask, ask_method
from app.what_if import Answer, answer
from app.what_if_controls import COST_SOURCE, MAP_AXIS
from app.what_if_limits import MOST_BATCH, gain_map, largest_that, needed
from app.what_if_plans import Values
from measurements import RecordError

QUESTION = "What would it gain with other numbers?"
_MAP_NAMES = {
    "gamma": "draft tokens γ", "levels": "levels", "c": "cost ratio c", "batch": "batch",
    "context": "context",
}  # fmt: skip
_KINDS = {"tree": "tree", "staged": "staged chain", "parallel": "parallel draft", "chain": "chain"}


def show() -> None:
    """Answer, controls beside the curve, what it takes, map, pins."""
    desk, entry = Desk.current(), frame.selected()
    st.title(QUESTION, anchor=False)
    top = st.container()
    values = ask_method(desk)
    left, right = st.columns([2, 5], gap="large")
    with left:
        values = ask(desk, entry, values)
    try:
        found = answer(values, frame.shelf())
    except (RecordError, ValueError) as error:
        st.error(f"That cannot be answered: {words.plain(str(error))}.", icon=":material/block:")
        return
    with top:
        frame.say(_sentence(found))
        _cards(found)
    with right:
        _curve(found, values, entry)
        _required(desk, found)
        _break_even(desk, values, found)
        pinned.show(desk, values, frame.shelf())


def _sentence(found: Answer) -> str:
    chosen, best = found.chosen, found.best
    interval = (
        f" (90\u00a0%: {words.span(chosen.low, chosen.high)})"
        if chosen.low is not None and chosen.high is not None
        else ""
    )
    text = (
        f"With {_what(found)}, {words.percent(found.rate, 0)} acceptance and"
        f" c = {found.cost_ratio:.3g}, decoding runs at **{words.times(chosen.speedup)}** its"
        f" plain speed{interval}"
    )
    unit = words.gamma if found.method != "tree" else _levels
    if best.speedup <= 1:
        ending = "; no size of it would pay"
    elif best.size == chosen.size:
        ending = "; no other size is better" if found.method != "tree" else ""
    else:
        ending = f"; best is {unit(best.size)} with **{words.times(best.speedup)}**"
    if found.method == "chain":
        return f"{text}{ending}."
    chain = found.best_chain
    return (
        f"{text}{ending}. The best plain chain at this c, {words.gamma(chain.size)}, gives"
        f" {words.times(chain.speedup)}."
    )


def _what(found: Answer) -> str:
    plan = found.chosen.plan
    if found.method == "tree":
        return f"a tree of {plan.num_drafts} nodes on {_levels(plan.depth)}"
    drafts = words.token_count(found.chosen.size)
    return drafts if found.method == "chain" else f"{drafts} from a {_KINDS[found.method]}"


def _levels(number: int) -> str:
    return f"{number} level" + ("" if number == 1 else "s")


def _cards(found: Answer) -> None:
    chosen, origin = found.chosen, f"Where from: {found.origin}."
    interval = (
        f"90 %: {words.span(chosen.low, chosen.high)}"
        if chosen.low is not None and chosen.high is not None
        else None
    )
    if found.optimum is not None:
        one = found.optimum.predictions[chosen.size - 1]
        notes = {
            "L2": "Rounds played along the text, each paid where it starts, the last ones shorter.",
            "L1": "Starts anywhere, at the present costs.",
            "L0": "",
        }
        names = {"L2": "Replay (L2)", "L1": "Hazards (L1)", "L0": "Textbook (L0)"}
        frame.cards([
            (names[level], words.times(getattr(one.speedup, level)),
             interval if level == "L2" and interval
             else f"{getattr(one.tau, level):.2f} tokens per round",
             explain(level, "speedup", note=f"{notes[level]} {origin}".strip()))
            for level in names
        ])  # fmt: skip
        return
    plan, chain = chosen.plan, found.best_chain
    frame.cards([
        ("Predicted speedup", words.times(chosen.speedup), interval or "closed form",
         explain("speedup", note=origin)),
        ("Tokens per round τ", f"{chosen.tau:.2f}",
         f"of at most {plan.depth + 1}", explain("mean_emitted", note=origin)),
        ("A round takes", f"{plan.verification + plan.drafting:.2f} steps",
         f"{words.percent(plan.drafting / (plan.verification + plan.drafting), 0)} of it drafting",
         f"In target steps; a plain step takes {plan.plain:.2f} with the host. {origin}"),
        ("Best plain chain", words.times(chain.speedup), words.gamma(chain.size),
         explain("num_draft_tokens", note=origin)),
    ])  # fmt: skip


def _curve(found: Answer, values: Values, entry: Evidence | None) -> None:
    tree = found.method == "tree"
    title = "levels of its tree" if tree else "number of draft tokens"
    st.subheader(f"Speedup by {title}", anchor=False)
    size, best = found.chosen.size, found.best.size
    if found.optimum is not None:
        curve = figures.points_from_predictions(found.optimum.predictions)
        frame.chart(figures.gain_curve(curve, size, best, height=430), "gain", "Speedup over γ")
        st.caption(
            "Textbook (L0) knows neither verification growth nor host time."
            f"{_replayed(values, entry)} {_from(found)}"
        )
        return
    name = _KINDS[found.method]
    figure = figures.method_gain(
        {name: [(one.size, one.speedup) for one in found.settings],
         "plain chain": [(one.size, one.speedup) for one in found.chains]},
        chosen=size, best=best, origin=found.origin,
        x_title="levels of the tree, or γ of the chain" if tree else "draft tokens per round γ",
    )  # fmt: skip
    frame.chart(figure, "gain", f"Speedup of the {name} and of plain chains")
    st.caption(f"{_from(found)}{_replayed(values, entry)}")


def _from(found: Answer) -> str:
    return f"{found.origin[0].upper()}{found.origin[1:]}."


def _replayed(values: Values, entry: Evidence | None) -> str:
    if values.get("text") != "trace" or entry is None:
        return ""
    recorded = try_predictions(entry)[str(values["trace"])]
    number = recorded.calibration.trace.lengths.size
    shown = recorded.quick_trace.lengths.size
    if shown == number or values.get(COST_SOURCE.name) == "record" or values["drafting"] == "tree":
        return f" Replays all {number} recorded prompts."
    return f" Replays {shown} of {number} recorded prompts, evenly chosen, to answer at once."


def _required(desk: Desk, found: Answer) -> None:
    """What would have to be true for a wanted speedup, each quantity moved alone."""
    st.subheader("What would have to be true?", anchor=False)
    key = desk.place(WANTED)
    st.slider("Wanted speedup [×]", WANTED.low, WANTED.high, step=0.1, format="%.1f", key=key,
              help=explain("speedup"))  # fmt: skip
    wanted = float(desk.refresh(WANTED))
    lines = [_rate_needed(found, wanted), _cost_needed(found, wanted), *_serving(found, wanted)]
    st.markdown("- " + "\n- ".join(lines))
    st.caption(
        "Closed form with constant acceptance, each quantity moved alone, at its best size; real"
        " text asks for more, because rejections come in runs."
    )


def _rate_needed(found: Answer, wanted: float) -> str:
    rate, at, speedup = needed(found, wanted).rate
    if rate is None:
        return (
            f"**{words.times(wanted)}** is out of reach at c = {found.cost_ratio:.3g}: even"
            f" full acceptance gives {words.times(speedup)}."
        )
    return (
        f"**{words.times(wanted)}** takes an acceptance rate of **{words.percent(rate, 0)}** at"
        f" c = {found.cost_ratio:.3g}, with {_size(found, at)}; now it is"
        f" {words.percent(found.rate, 0)}."
    )


def _cost_needed(found: Answer, wanted: float) -> str:
    at_rate = f"at {words.percent(found.rate, 0)} acceptance"
    cost, at, speedup = needed(found, wanted).cost
    if cost is None:
        return f"Cheaper drafts alone do not do: {at_rate} free ones give {words.times(speedup)}."
    return (
        f"Or, {at_rate}, a draft step of at most **c\u00a0=\u00a0{cost:.3g}**, with"
        f" {_size(found, at)}; now it is {found.cost_ratio:.3g}."
    )


def _size(found: Answer, size: int) -> str:
    return _levels(size) if found.method == "tree" else words.gamma(size)


def _serving(found: Answer, wanted: float) -> list[str]:
    """Batch and draft, where a chain's costs come from a roofline."""
    limits = largest_that(found, wanted)
    if limits is None:
        return []
    batch, draft = limits
    lines = []
    if batch.reachable:
        lines.append(
            f"It holds up to a batch of **{batch.value:.0f}**"
            f"{' and beyond' if batch.value >= MOST_BATCH else ''} at this context,"
            f" with {words.gamma(batch.num_draft_tokens)} there."
        )
    else:
        lines.append(f"No batch reaches it; the best gives {words.times(batch.speedup)}.")
    if draft.reachable:
        lines.append(
            f"If it accepts as much, the draft may have **{words.parameters(draft.value)}**"
            " parameters, in layers like its own."
        )
    else:
        lines.append(
            "Not even one layer of this draft is fast enough:"
            f" {words.times(draft.speedup)} at most."
        )
    return lines


def _break_even(desk: Desk, values: Values, found: Answer) -> None:
    st.subheader("Where the gain ends", anchor=False)
    st.markdown(_ends(found))
    known = MAP_AXIS.options if values[COST_SOURCE.name] == "hardware" else MAP_AXIS.options[:2]
    axis = Choice(MAP_AXIS.name, MAP_AXIS.default, known)
    first = "levels" if found.method == "tree" else "gamma"
    st.segmented_control(
        "Map acceptance against", known, key=desk.place(axis), required=True,
        format_func=lambda one: _MAP_NAMES[first if one == "gamma" else one],
    )  # fmt: skip
    seen = gain_map(values, frame.shelf(), found, str(desk.refresh(axis)))
    figure = figures.gain_map(
        seen.x, seen.rates, seen.speedup, x_title=seen.x_title, y_title="acceptance rate α [–]",
        here=(seen.here, found.rate), origin=found.cost_origin, log_x=seen.log,
    )  # fmt: skip
    frame.chart(figure, "map", "Map of the speedup with the break-even line")
    st.caption(
        "The map is the closed form with a constant acceptance rate: it flatters real text, where"
        " rejections come in runs."
    )


def _ends(found: Answer) -> str:
    one = needed(found, 1.0, here=True)
    setting = f"With {_size(found, found.chosen.size)} and c = {found.cost_ratio:.3g}"
    rate, cost = one.rate.value, one.cost.value
    first = (
        f"{setting} not even full acceptance would pay."
        if rate is None
        else f"{setting} speculation pays above an acceptance rate of **{words.percent(rate, 0)}**."
    )
    at_rate = f"At {words.percent(found.rate, 0)} acceptance"
    second = (
        f"{at_rate} not even a free draft would pay."
        if cost is None
        else f"{at_rate} a draft step may cost up to **{words.percent(cost, 0)}** of a target step."
    )
    return f"{first} {second}"


if __name__ == "__main__":
    show()
