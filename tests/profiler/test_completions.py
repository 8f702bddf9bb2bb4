"""What does the client learn from a server, and is every trouble one clear line?"""

import pytest

from engine.errors import InputError
from profiler.completions import Endpoint, ServerError
from profiler.vllm_server import _free_port
from tests.profiler.fake_server import NAME, fake_server
from tests.profiler.fake_vllm import kept, token

PROMPTS = ("ab", "abcd", "abcdef")


def rounds_of(new_tokens: int, num_draft_tokens: int) -> list[int]:
    """Drafts kept in each round behind the prefill's token."""
    made, all_kept = 1, []
    while made < new_tokens:
        all_kept.append(kept(made, num_draft_tokens))
        made += all_kept[-1] + 1
    return all_kept


def test_pieces_tokens_and_counters_are_the_servers() -> None:
    with fake_server(2) as (url, _):
        endpoint = Endpoint(url + "/")
        about = endpoint.about()
        assert (about.model, about.num_draft_tokens, about.label) == (NAME, 2, "K2")
        assert (about.version, about.max_model_len) == ("0.0.fake", 768)
        before = endpoint.metrics()
        answers = endpoint.complete_all(NAME, PROMPTS, 12)
        counted = endpoint.counted(before, endpoint.metrics())
    rounds = rounds_of(12, 2)
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        assert answer.tokens == tuple(token(prompt, at) for at in range(12))
        assert answer.prompt_tokens == len(prompt)
        assert len(answer.arrivals) == len(answer.sizes) == 1 + len(rounds)
        assert sum(answer.sizes) == 12
        assert list(answer.arrivals) == sorted(answer.arrivals)
        assert answer.sent < answer.arrivals[0]
    assert counted.drafts == len(PROMPTS) * len(rounds)
    assert counted.drafted == 2 * counted.drafts
    assert counted.accepted == tuple(len(PROMPTS) * sum(k > i for k in rounds) for i in range(2))


def test_without_speculation_there_is_nothing_to_count() -> None:
    with fake_server() as (url, _):
        endpoint = Endpoint(url)
        assert endpoint.about().label == "plain"
        before = endpoint.metrics()
        assert endpoint.complete(NAME, "ab", 3).sizes == (1, 1, 1)
        counted = endpoint.counted(before, endpoint.metrics())
    assert (counted.drafts, counted.drafted, counted.accepted) == (0, 0, ())


def test_nobody_there() -> None:
    with pytest.raises(ServerError, match=r"does not answer \(Connection refused\)"):
        Endpoint(f"http://127.0.0.1:{_free_port(0)}").about()


def test_an_address_must_be_one() -> None:
    with pytest.raises(InputError, match="begins with http"):
        Endpoint("localhost:8000")
    with pytest.raises(InputError, match="above 0 s, not 0"):
        Endpoint("http://localhost", 0.0)


def test_silence() -> None:
    with (
        fake_server(trouble="hangs") as (url, _),
        pytest.raises(ServerError, match=r"silent for 0.3 s"),
    ):
        Endpoint(url, 0.3).complete(NAME, "ab", 3)


def test_death_in_the_middle() -> None:
    with fake_server(trouble="dies-at-2") as (url, _):
        endpoint = Endpoint(url)
        endpoint.complete(NAME, "ab", 3)
        with pytest.raises(ServerError, match=r"does not answer|broke off|of 3 tokens"):
            endpoint.complete(NAME, "ab", 3)


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        ("metrics-hang", r"silent for 0.3 s"),
        ("metrics-break-off", "broke off while it answered"),
    ],
)
def test_metrics_that_stop_in_the_middle(trouble: str, told: str) -> None:
    """A page cut behind its header ended the command with a traceback: only _open was guarded."""
    with fake_server(2, trouble) as (url, _), pytest.raises(ServerError, match=told):
        Endpoint(url, 0.3).metrics()


def test_no_metrics() -> None:
    with (
        fake_server(trouble="no-metrics") as (url, _),
        pytest.raises(ServerError, match=r"/metrics answers 404"),
    ):
        Endpoint(url).about()


def test_another_model() -> None:
    with (
        fake_server() as (url, _),
        pytest.raises(ServerError, match=r"/v1/completions answers 404"),
    ):
        Endpoint(url).complete("other", "ab", 3)


def test_counters_that_fall_are_a_restart() -> None:
    with fake_server(2) as (url, _):
        endpoint = Endpoint(url)
        endpoint.complete(NAME, "ab", 5)
        later = endpoint.metrics()
        endpoint.complete(NAME, "ab", 5)
        with pytest.raises(ServerError, match="restarted"):
            endpoint.counted(endpoint.metrics(), later)
