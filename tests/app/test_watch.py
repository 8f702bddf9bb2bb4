"""Does the page show the real decode, stop it, and keep visitors apart?"""

from __future__ import annotations

import re
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import watched_pair
from app.watching import Progress, ShownRound, Watched
from app.written import as_html, legend, time_bar
from engine.decode import Request
from measurements import DATA, scan
from profiler.lock import device_lock
from tests.app.pages import address, numbers, visitor

visit = pytest.fixture(visitor)
SOON = 60.0  # seconds until a decode of a few tokens must have ended on any machine


@pytest.fixture(scope="module")
def pair():
    return watched_pair.load_pair()


@pytest.fixture(autouse=True)
def own_lock(tmp_path, monkeypatch):
    """No waiting for who measures on this machine meanwhile."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def _request(pair, tokens=12, prompt="def f(x):\n    return"):
    return Request(pair[0].tokenizer(prompt)["input_ids"], tokens)


def _until_done(app):
    """Play the browser's polling until the visitor's decode has ended."""
    assert app.session_state["_watched"].join(SOON)
    return app.run()


def _html(app):
    return "".join(element.proto.body for element in app.get("html"))


@pytest.mark.parametrize("name", ["chain", "tree", "staged", "lookup", "medusa", "autoregressive"])
def test_what_is_shown_is_what_the_engine_decodes(pair, name):
    method = list(watched_pair.variants(pair, name).values())[-1]
    request = _request(pair)
    watched = Watched(pair[0], method, request)
    watched.start()
    assert watched.join(SOON)
    done = method.decode(pair[0], request)
    progress, text = watched.progress, [token for r in done.rounds for token in r.tokens]
    assert progress.state == "finished"
    assert [t for r in progress.rounds for t in r.tokens] == [
        pair[0].tokenizer.decode([token]) for token in text
    ]
    assert [p for r in progress.rounds for p in r.provenance] == [
        source for r in done.rounds for source in r.provenance
    ]
    assert progress.tau == pytest.approx(done.mean_emitted)
    assert progress.accepted == sum(r.num_accepted for r in done.rounds)
    assert progress.timed_tokens == 12 and progress.seconds_by_stage["target"] > 0
    assert "page" not in progress.seconds_by_stage


def test_stop_ends_a_decode_after_its_round(pair):
    method = next(iter(watched_pair.variants(pair, "chain").values()))
    watched = Watched(pair[0], method, _request(pair, 300), pause_seconds=30.0)
    watched.start()
    deadline = time.monotonic() + SOON
    while not watched.progress.rounds and time.monotonic() < deadline:
        time.sleep(0.01)
    watched.stop()
    assert watched.join(SOON / 4), "the pause is cut short"
    assert watched.progress.state == "stopped"
    assert 0 < watched.progress.num_tokens < 300


def test_a_decode_waits_for_the_device_and_can_be_given_up_meanwhile(pair):
    method = next(iter(watched_pair.variants(pair, "chain").values()))
    watched = Watched(pair[0], method, _request(pair))
    with device_lock(pair[0].device):
        watched.start()
        deadline = time.monotonic() + SOON
        while not watched.progress.note and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "another measurement" in watched.progress.note and watched.alive
        watched.stop()
        assert not watched.alive
    assert watched.join(SOON)
    assert not watched.progress.rounds, "it never began"


def test_a_refused_request_becomes_a_message(pair):
    method = next(iter(watched_pair.variants(pair, "chain").values()))
    watched = Watched(pair[0], method, _request(pair, pair[0].context))
    watched.start()
    assert watched.join(SOON)
    assert watched.progress.state == "failed"
    assert str(pair[0].context) in watched.progress.note


def test_the_page_decodes_and_its_link_restores_the_settings(visit):
    app = visit(DATA, "watch", tokens="16", pause="0")
    assert not app.exception and not app.warning and not app.error
    assert app.title[0].value == "Who writes which token, live?"
    app.selectbox(key="control_method").set_value("staged").run()
    assert app.selectbox(key="control_variant").value.startswith("staged")
    app.slider(key="control_T").set_value(1.0).run()
    app.button[0].click().run()
    app = _until_done(app)
    assert not app.exception
    assert "wrote 16 tokens" in app.markdown[0].value
    tau = app.session_state["_watched"].progress.tau
    assert numbers(app)[0] == f"{tau:.2f}"
    assert _html(app).count('round 1"') >= 1
    again = visit(DATA, "watch", **address(app))
    assert not again.warning
    assert address(again) == address(app) == {
        "method": "staged", "T": "1", "tokens": "16", "pause": "0"
    }  # fmt: skip


def test_stop_on_the_page(visit):
    app = visit(DATA, "watch", tokens="400", pause="1000")
    app.button[0].click().run()
    stop = next(button for button in app.button if button.label == "Stop")
    stop.click().run()
    app = _until_done(app)
    assert "was stopped" in app.markdown[0].value
    assert [button.label for button in app.button] == ["Decode"]


def test_a_prompt_of_ones_own_and_the_limit_of_its_length(visit):
    app = visit(DATA, "watch", example="own", prompt="def one():", tokens="8", pause="0")
    app.button[0].click().run()
    app = _until_done(app)
    assert "def one():" in _html(app) and not app.exception
    long = visit(DATA, "watch", example="own", prompt="x" * 2001)
    assert "2001 characters, above 2000" in long.warning[0].value


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("method", "oracle", "not one of"), ("variant", "chain γ 99", "not one of"),
     ("tokens", "9999", "not between 8 and 400"), ("T", "nan", "not between 0 and 2"),
     ("example", "0", "not one of"), ("rejected", "maybe", "neither 0 nor 1")],
)  # fmt: skip
def test_a_tampered_link_shows_a_message(visit, name, value, message):
    app = visit(DATA, "watch", **{name: value})
    assert not app.exception and message in app.warning[0].value
    assert name not in address(app)


def test_without_torch_the_page_says_so_in_one_line(visit, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    app = visit(DATA, "watch")
    assert not app.exception and "Decode" not in [button.label for button in app.button]
    assert "torch" in app.info[0].value and "\n" not in app.info[0].value


def test_the_prediction_is_that_of_the_newest_profile_of_this_machine(pair, monkeypatch):
    profiles = [(str(path), record) for path, record in scan(DATA).profiles]
    chain = watched_pair.variants(pair, "chain")["chain γ 4"]
    machine = profiles[0][1].machine
    monkeypatch.setattr("profiler.machine.fingerprint", lambda device: machine)
    found = watched_pair.prediction_here(profiles, pair, chain, "T0")
    assert found is not None and found.num_draft_tokens == 4
    assert found.tokens_per_s == pytest.approx(found.speedup.L2 / found.autoregressive_seconds)
    assert watched_pair.prediction_here(profiles, pair, chain, "T0.9") is None
    other = machine.model_copy(update={"slug": "elsewhere"})
    monkeypatch.setattr("profiler.machine.fingerprint", lambda device: other)
    assert watched_pair.prediction_here(profiles, pair, chain, "T0") is None


def test_two_visitors_watch_different_decodes(visit):
    one = visit(DATA, "watch", tokens="16", pause="0")
    other = visit(DATA, "watch", tokens="24", pause="0", method="lookup")
    one.button[0].click().run()
    other.button[0].click().run()
    one, other = _until_done(one), _until_done(other)
    assert "wrote 16 tokens" in one.markdown[0].value and "chain" in one.markdown[0].value
    assert "wrote 24 tokens" in other.markdown[0].value and "lookup" in other.markdown[0].value


@settings(deadline=None, max_examples=30)
@given(st.text(), st.lists(st.text(), min_size=1, max_size=4), st.text(), st.booleans())
def test_text_cannot_bring_markup_of_its_own(prompt, tokens, dropped, branches):
    provenance = ("draft",) * (len(tokens) - 1) + ("recovered",)
    page = as_html(prompt, (ShownRound(tuple(tokens), provenance, (dropped,), branches),))
    tags = re.findall(r"<(/?\w+)", page)
    assert set(tags) <= {"div", "/div", "span", "/span", "s", "/s", "sup", "/sup"}
    assert tags.count("span") == tags.count("/span") == len(tokens) + 1


def test_legend_and_time_add_up():
    shown = Progress(
        rounds=(ShownRound(("a", "b"), ("draft", "bonus"), (), False),
                ShownRound(("c", "d"), ("lookup", "recovered"), ("x",), False)),
        seconds_by_stage={"target": 0.5, "draft": 0.25, "lookup": 0.125, "commit": 0.125},
        timed_tokens=4,
    )  # fmt: skip
    assert shown.tau == 2 and shown.tokens_per_s == 4
    assert legend(shown.makers).count("25\xa0%") == 4
    assert "target 50\xa0%" in time_bar(shown.seconds_by_stage)
    assert "drafting 38\xa0%" in time_bar(shown.seconds_by_stage)
    assert "<s " not in as_html("", shown.rounds, rejected=False)
