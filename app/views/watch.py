"""Who writes which token, while it is being written?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from app import words
from app.glossary import explain
from app.state import Choice, Desk, Number, Switch, Text
from app.views import frame
from app.watched_pair import (
    NUM_EXAMPLES,
    Pair,
    examples,
    load_pair,
    method_names,
    missing,
    prediction_here,
    variants,
)
from app.watching import Progress, Watched
from app.written import as_html, legend, time_bar
from measurements import RecordError, Sampling
from simulator import Prediction

if TYPE_CHECKING:
    from engine.decode import Request
    from profiler.methods import Method

QUESTION = "Who writes which token, live?"
OWN = "own"
LONGEST_PROMPT = 2000  # characters
EXAMPLE = Choice("example", "2", (*map(str, range(1, NUM_EXAMPLES + 1)), OWN))
TEMPERATURE = Number("T", 0.0, 0.0, 2.0)
NEW_TOKENS = Number("tokens", 128, 8, 400)
PAUSE = Number("pause", 100, 0, 1000)
SEED = Number("seed", 0, 0, 9999)
REJECTED = Switch("rejected", True)
POLL_SECONDS = 0.4


@dataclass(frozen=True)
class Asked:
    """What to decode, and how."""

    prompt: str
    method: Method
    name: str
    temperature: float
    new_tokens: int
    pause_ms: int
    seed: int

    @property
    def sampling(self) -> Sampling:
        """As records name it."""
        return Sampling(temperature=self.temperature)


def show() -> None:
    """Controls, start and stop, the text as it grows, numbers so far."""
    if lacking := missing():
        st.title(QUESTION, anchor=False)
        st.info(
            f"Decoding needs {words.plain(lacking)}. Install it with"
            " `pip install 'speculens[all]'`; every other page works without.",
            icon=":material/info:",
        )
        return
    from engine.errors import InputError

    st.title(QUESTION, anchor=False)
    answer = st.container()
    try:
        pair = load_pair()
        asked = _ask(Desk.current(), pair)
        request = _request(pair, asked)
    except InputError as error:
        st.error(f"This cannot be decoded: {error}.", icon=":material/block:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Decode", icon=":material/play_arrow:", type="primary"):
            _begin(pair, asked, request)
        desk = Desk.current()
        st.toggle("Show rejected drafts", key=desk.place(REJECTED))
        rejected = bool(desk.refresh(REJECTED))
    watched: Watched | None = st.session_state.get("_watched")
    if watched is None:
        with answer:
            st.markdown(
                f"##### Press Decode to see {asked.name} write up to {asked.new_tokens} tokens at"
                f" {words.sampling_name(asked.sampling)}, each coloured by the part of the stack"
                " that made it."
            )
        st.html(as_html(asked.prompt, ()))
        return
    every = POLL_SECONDS if watched.alive else None
    with answer:
        st.fragment(_headline, run_every=every)()
    st.fragment(partial(_live, rejected, every is not None), run_every=every)()


def _ask(desk: Desk, pair: Pair) -> Asked:
    left, right = st.columns([3, 4], gap="large")
    with left:
        name, method = _ask_method(desk, pair)
        with st.container(horizontal=True):
            st.slider(
                "Temperature [–]", TEMPERATURE.low, TEMPERATURE.high, step=0.1, format="%.1f",
                key=desk.place(TEMPERATURE), help="0 takes the likeliest token every time.",
            )  # fmt: skip
            st.slider(
                "New tokens, at most [tokens]", int(NEW_TOKENS.low), int(NEW_TOKENS.high), step=8,
                key=desk.place(NEW_TOKENS),
            )  # fmt: skip
        with st.container(horizontal=True):
            st.slider(
                "Pause after a round [ms]", int(PAUSE.low), int(PAUSE.high), step=50,
                key=desk.place(PAUSE),
                help="So that rounds can be seen; no part of the times below.",
            )  # fmt: skip
            st.number_input(
                "Seed", int(SEED.low), int(SEED.high), key=desk.place(SEED),
                help="Equal seeds draw equal texts; at temperature 0 nothing is drawn.",
            )  # fmt: skip
        temperature, tokens, pause, seed = (
            desk.refresh(c) for c in (TEMPERATURE, NEW_TOKENS, PAUSE, SEED)
        )
    with right:
        prompt = _ask_prompt(desk)
    return Asked(prompt, method, name, float(temperature), int(tokens), int(pause), int(seed))


def _ask_method(desk: Desk, pair: Pair) -> tuple[str, Method]:
    names = method_names()
    kind = Choice("method", names[0], names)
    st.selectbox("Method", names, key=desk.place(kind))
    known = variants(pair, str(desk.refresh(kind)))
    fallback = list(known)[min(1, len(known) - 1)]
    variant = Choice("variant", fallback, tuple(known))
    st.selectbox("Setting", list(known), key=desk.place(variant),
                 help=explain("num_draft_tokens", "lower level"))  # fmt: skip
    name = str(desk.refresh(variant))
    return name, known[name]


def _ask_prompt(desk: Desk) -> str:
    heads = examples()
    titles = {str(n): head.splitlines()[0].strip() for n, head in enumerate(heads, start=1)}
    st.selectbox(
        "Prompt", EXAMPLE.options, key=desk.place(EXAMPLE),
        format_func=lambda name: "my own text" if name == OWN else f"{name}. {titles[name]}",
        help="The examples are heads of library functions that the models never trained on.",
    )  # fmt: skip
    chosen = str(desk.refresh(EXAMPLE))
    if chosen != OWN:
        return heads[int(chosen) - 1]
    own = Text("prompt", "def fibonacci(n):", _not_empty, longest=LONGEST_PROMPT)
    return desk.typed(own, f"Text to continue, at most {LONGEST_PROMPT} characters")


def _not_empty(text: str) -> None:
    if not text.strip():
        raise ValueError("a prompt needs at least 1 character")


def _request(pair: Pair, asked: Asked) -> Request:
    from engine.decode import Request
    from engine.prompts import Prompts
    from engine.sampling import Sampling as EngineSampling
    from profiler.run import encode_checked

    prompts = Prompts("the prompt", (asked.prompt,))
    encoded = encode_checked(*pair, prompts, asked.new_tokens)[0]
    tokenizer = pair[0].tokenizer
    assert tokenizer is not None
    sampling = EngineSampling(asked.temperature)
    return Request(encoded, asked.new_tokens, sampling, asked.seed, tokenizer.eos_token_id)


def _begin(pair: Pair, asked: Asked, request: Request) -> None:
    """Start over; what this visitor watched before ends."""
    before: Watched | None = st.session_state.get("_watched")
    if before is not None:
        before.stop()
    try:
        profiles = frame.shelf().profiles
        predicted = prediction_here(profiles, pair, asked.method, asked.sampling.label)
    except (RecordError, ValueError) as error:
        st.error(f"The profile cannot be used: {error}", icon=":material/broken_image:")
        predicted = None
    watched = Watched(pair[0], asked.method, request, asked.pause_ms / 1e3)
    watched.start()
    st.session_state["_watched"] = watched
    st.session_state["_watched_as"] = (asked, predicted)


def _headline() -> None:
    watched: Watched = st.session_state["_watched"]
    asked, _ = st.session_state["_watched_as"]
    frame.say(_sentence(asked, watched.progress, watched.alive))


def _live(rejected: bool, polled: bool) -> None:
    """The running decode; the page as a whole runs once more when it has ended."""
    watched: Watched = st.session_state["_watched"]
    asked, predicted = st.session_state["_watched_as"]
    alive, progress = watched.alive, watched.progress
    if progress.state == "failed":
        st.error(f"The decode failed: {words.plain(progress.note)}", icon=":material/error:")
    elif alive:
        st.button("Stop", icon=":material/stop:", on_click=watched.stop)
    if progress.rounds:
        _cards(progress, predicted, watched.request.max_new_tokens)
        st.html(legend(progress.makers) + as_html(asked.prompt, progress.rounds, rejected=rejected))
        if progress.seconds_by_stage:
            st.html("<b>Where the time went so far</b>" + time_bar(progress.seconds_by_stage))
        st.caption(_conditions(asked, predicted))
    if polled and not alive:
        st.rerun()


def _sentence(asked: Asked, progress: Progress, alive: bool) -> str:
    what = f"{asked.name} at {words.sampling_name(asked.sampling)}"
    if not progress.rounds:
        if progress.state == "waiting":
            return f"{what} has not begun: {progress.note or 'reading the prompt'}." if alive else (
                f"{what} was stopped before it began, after 0 tokens."
            )  # fmt: skip
        return f"{what} reads the prompt."
    ended = {"finished": "wrote", "stopped": "was stopped after", "failed": "failed after"}
    verb = ended.get(progress.state, "writes")
    return (
        f"{what} {verb} {progress.num_tokens} tokens in {len(progress.rounds)} rounds:"
        f" **{progress.tau:.2f} tokens per round**{' so far' if alive else ''}."
    )


def _cards(progress: Progress, predicted: Prediction | None, wanted: int) -> None:
    tau, speed = progress.tau, progress.tokens_per_s
    kept = progress.accepted / progress.proposed if progress.proposed else None
    frame.cards([
        ("Tokens per round τ", f"{tau:.2f}",
         f"{predicted.tau.L2:.2f} predicted" if predicted else "no prediction here",
         explain("mean_emitted", "L2")),
        ("Speed", "–" if speed is None else f"{speed:.0f} tokens/s",
         f"{predicted.tokens_per_s:.0f} predicted" if predicted
         else "measured, this decode", "Reading the prompt is not counted."),
        ("Drafts kept", "–" if kept is None else words.percent(kept, 0),
         f"{progress.accepted} of {progress.proposed}", explain("draft_efficiency")),
        ("Tokens", str(progress.num_tokens), f"of at most {wanted}", explain("round")),
    ])  # fmt: skip


def _conditions(asked: Asked, predicted: Prediction | None) -> str:
    text = "" if asked.method.lossless else "This rule changes the law of the text. "
    if predicted is None:
        return (
            f"{text}No profile of this machine has this setting;"
            " `speculens profile --methods all` makes one."
        )
    return (
        f"{text}Predicted from the newest profile of this machine that has this setting: a mean"
        " over its prompts, which one text need not match. Pauses and the page's own work are not"
        " counted."
    )


if __name__ == "__main__":
    show()
