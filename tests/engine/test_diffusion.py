"""Diffusion: the formulas as laws, and the drafter's output law with an oracle denoiser."""

import itertools
from collections.abc import Callable
from functools import cache

import pytest
import torch

from engine.cache import KVCache
from engine.decode import Request, decode_speculative
from engine.diffusion.absorbing import (
    forward_law,
    reverse_law,
    score_of_masked,
    staggered_score,
    transposed_transition,
    unmask_chance,
)
from engine.diffusion.loss import denoising_score_entropy, score_entropy
from engine.diffusion.noise import noise_rate, sigma_at, time_grid, total_noise
from engine.diffusion.sampler import sample_block
from engine.drafters.diffusion import ACCEPTANCES, DiffusionDrafter, block_sizes
from engine.errors import InputError
from engine.rules import Match, Rejection
from engine.sampling import Sampling
from engine.trees import Growth, Shape, Tree
from tests.laws import PROMPT, TableModel, exact_law, largest_error, target_law

EXACT = 1e-12
PLAIN = Sampling(1.0)
SAMPLINGS = [PLAIN, Sampling(0.6), Sampling(1.0, top_k=2), Sampling(1.2, top_p=0.8)]
VOCAB = 3
RATES = torch.eye(VOCAB + 1, dtype=torch.float64).neg()  # Q of the absorbing graph
RATES[:, VOCAB] += 1


@cache
def posterior(model: TableModel, text: tuple[int, ...], state: tuple[int, ...]) -> torch.Tensor:
    """Law [size, vocab] of every clean token of a block, given the text and what is visible."""
    vocab = model.vocab_size
    law = torch.zeros(len(state), vocab, dtype=torch.float64)
    choices = [range(vocab) if token == vocab else (token,) for token in state]
    for block in itertools.product(*choices):
        chance = 1.0
        for i, token in enumerate(block):
            row = _probabilities(model, (*text, *block[:i]))
            chance *= row[token]
        for i, token in enumerate(block):
            law[i, token] += chance
    return law / law.sum(-1, keepdim=True)


@cache
def _probabilities(model: TableModel, text: tuple[int, ...]) -> list[float]:
    return model.logits(text).softmax(-1).tolist()


class Oracle:
    """The exact denoiser of a table model; keeps its prefix in an ordinary cache."""

    max_block = 6
    device = torch.device("cpu")

    def __init__(self, model: TableModel) -> None:
        self.model, self.vocab_size = model, model.vocab_size

    def new_cache(self, capacity: int) -> KVCache:
        return self.model.new_cache(capacity, self.max_block)

    def denoise(
        self,
        prefix: torch.Tensor,
        block: torch.Tensor,
        last: torch.Tensor,
        cache: KVCache,
        sigma: float,
    ) -> torch.Tensor:
        cache.require(len(prefix) + len(block))
        written = torch.cat([prefix, block]).double()[None, None, :, None]
        keys, _ = cache.write(0, written, written)
        cache.advance(len(prefix))
        text = tuple(keys[0, 0, : cache.length, 0].long().tolist())
        assert text[-1] == int(last)
        assert self.vocab_size not in text
        return posterior(self.model, text, tuple(block.tolist())).log()


def drafter(seed: int, num_steps: int, acceptance: str, vocab: int = VOCAB) -> DiffusionDrafter:
    return DiffusionDrafter(Oracle(TableModel(seed + 100, vocab)), num_steps, acceptance)  # type: ignore[arg-type]


def error(
    seed: int,
    size: int,
    num_steps: int,
    acceptance: str,
    num_tokens: int,
    sampling: Sampling = PLAIN,
    rule=None,  # type: ignore[no-untyped-def]
) -> float:
    return largest_error(
        TableModel(seed),
        lambda: drafter(seed, num_steps, acceptance),
        Tree.chain(size),
        num_tokens,
        sampling,
        rule,
    )


# --- the drafter's law


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("acceptance", ACCEPTANCES)
@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda s: s.label)
def test_one_step_is_lossless(sampling: Sampling, acceptance: str, seed: int) -> None:
    assert error(seed, 2, 1, acceptance, 3, sampling) < EXACT


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("acceptance", ACCEPTANCES)
@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda s: s.label)
def test_two_steps_are_lossless(sampling: Sampling, acceptance: str, seed: int) -> None:
    assert error(seed, 2, 2, acceptance, 3, sampling) < EXACT


def one_round_error(seed: int, size: int, num_steps: int, acceptance: str, vocab: int) -> float:
    """As ``error``, for a single long round: its law, completed by the target's own."""
    target = TableModel(seed, vocab)
    request = Request(PROMPT, size + 1, PLAIN)

    def program(randomness) -> tuple[int, ...]:  # type: ignore[no-untyped-def]
        source, rule = drafter(seed, num_steps, acceptance, vocab), Rejection(PLAIN, randomness)
        done = decode_speculative(
            target, source, request, Tree.chain(size), rule=rule, on_round=lambda done: False
        )
        return tuple(done.tokens)

    ours, wanted = exact_law(program), target_law(target, size + 1, PLAIN)
    prefixes = {(): 1.0}
    for length in range(1, size + 2):
        prefixes |= {
            text: sum(chance for whole, chance in wanted.items() if whole[:length] == text)
            for text in itertools.product(range(vocab), repeat=length)
        }
    return max(
        abs(
            sum(
                ours.get(text[:k], 0.0) * wanted[text] / prefixes[text[:k]]
                for k in range(1, size + 2)
            )
            - wanted[text]
        )
        for text in wanted
    )


@pytest.mark.parametrize("acceptance", ACCEPTANCES)
@pytest.mark.parametrize(
    ("size", "num_steps", "vocab"), [(3, 2, 3), (3, 3, 3), (4, 4, 2), (4, 2, 2)]
)
def test_more_steps_are_lossless(size: int, num_steps: int, vocab: int, acceptance: str) -> None:
    for seed in range(2):
        assert one_round_error(seed, size, num_steps, acceptance, vocab) < EXACT


@pytest.mark.parametrize("acceptance", ACCEPTANCES)
@pytest.mark.parametrize("num_steps", [1, 2])
def test_other_rules_are_lossless(num_steps: int, acceptance: str) -> None:
    def block(randomness):  # type: ignore[no-untyped-def]
        return Rejection(PLAIN, randomness, block=True)

    def match(randomness):  # type: ignore[no-untyped-def]
        return Match(PLAIN, randomness)

    def filtered(randomness):  # type: ignore[no-untyped-def]
        return Rejection(PLAIN, randomness, candidates=2)

    for rule in (block, match, filtered):
        assert error(1, 2, num_steps, acceptance, 3, PLAIN, rule) < EXACT


@pytest.mark.parametrize(
    "shape",
    [Tree((-1, -1)), Tree((-1, -1, 0)), Growth(budget=3, depth=2, beam=2, width=2)],
    ids=["two siblings", "uneven", "grown"],
)
def test_trees_of_one_step_are_lossless(shape: Shape) -> None:
    for rule in (None, lambda randomness: Match(PLAIN, randomness)):
        got = largest_error(
            TableModel(2), lambda: drafter(2, 1, "left_to_right"), shape, 2, PLAIN, rule
        )
        assert got < EXACT


class StoredVectors(DiffusionDrafter):
    """The published recipe: tokens drawn in any order, judged by the vectors they came from."""

    def _in_place(self, prefix, size, rule, clock):  # type: ignore[no-untyped-def]
        state, last = self._blank[:size].clone(), prefix[-1:]
        tokens, laws = state.clone(), torch.zeros(size, self.model.vocab_size, dtype=torch.float64)
        for place in reversed(range(size)):  # the last position first
            logits = self._step(prefix, state, last, 1.0, clock)
            prefix = self._none
            choice = rule.choose(logits[place : place + 1], place, 1)
            tokens[place], laws[place] = choice.tokens[0, 0], choice.laws[0]
            state[place] = tokens[place]
        return tokens, laws


def test_vectors_stored_out_of_order_are_rejected() -> None:
    """The trap of DESIGN §5: each vector is what its token was drawn from, the text is wrong."""
    errors = [
        largest_error(
            TableModel(seed),
            lambda seed=seed: StoredVectors(Oracle(TableModel(seed + 100)), 2, "hybrid"),  # type: ignore[misc]
            Tree.chain(2),
            3,
            PLAIN,
        )
        for seed in range(2)
    ]
    assert min(errors) > 1e-3


class ForgetsToGuess(DiffusionDrafter):
    """Hybrid, but a token fixed early is judged by the last step's law of its position."""

    def _last_step(self, state, logits, rule):  # type: ignore[no-untyped-def]
        blank = torch.full_like(state, self.model.vocab_size)
        first = self._step(self._none, blank, self._last, 1.0, None)
        tokens, laws = super()._last_step(state, logits, rule)
        fixed = state != self.model.vocab_size
        return tokens, torch.where(fixed[:, None], first.exp(), laws)

    def _in_place(self, prefix, size, rule, clock):  # type: ignore[no-untyped-def]
        self._last = prefix[-1:]
        return super()._in_place(prefix, size, rule, clock)


def test_early_guesses_judged_by_a_law_instead_of_a_point_mass_are_rejected() -> None:
    got = largest_error(
        TableModel(0), lambda: ForgetsToGuess(Oracle(TableModel(100)), 2, "hybrid"),
        Tree.chain(2), 3, PLAIN,
    )  # fmt: skip
    assert got > 1e-3


def drafted_law(num_steps: int, size: int, vocab: int) -> dict[tuple[int, ...], float]:
    """Law of what a drafter proposes first, by playing out its draws."""

    def program(randomness) -> tuple[int, ...]:  # type: ignore[no-untyped-def]
        source = drafter(0, num_steps, "left_to_right", vocab)
        source.start(PROMPT, 20)
        rule = Rejection(PLAIN, randomness)
        draft = source.propose(torch.tensor(PROMPT[-1:]), Tree.chain(size), rule, None)
        return tuple(draft.tokens.tolist())

    return exact_law(program)  # type: ignore[return-value]


def data_law(size: int, vocab: int, text: tuple[int, ...] = tuple(PROMPT)) -> dict:
    model = TableModel(100, vocab)
    law = {}
    for block in itertools.product(range(vocab), repeat=size):
        law[block] = 1.0
        for i, token in enumerate(block):
            law[block] *= _probabilities(model, (*text, *block[:i]))[token]
    return law


def distance(ours: dict, wanted: dict) -> float:
    return max(abs(ours.get(key, 0.0) - wanted[key]) for key in wanted)


def test_one_step_per_token_drafts_the_law_of_the_data_and_fewer_do_not() -> None:
    wanted = data_law(3, 3)
    assert distance(drafted_law(3, 3, 3), wanted) < EXACT
    assert distance(drafted_law(1, 3, 3), wanted) > 1e-2  # independent positions


# --- the formulas


def test_forward_and_reverse_steps_are_matrix_exponentials_of_the_absorbing_graph() -> None:
    sigma = torch.tensor(0.7, dtype=torch.float64)
    forward = torch.linalg.matrix_exp(sigma * RATES)
    for token in range(VOCAB):
        got = forward_law(torch.tensor([token]), sigma, VOCAB)[0]
        assert torch.allclose(got, forward[token], atol=EXACT)
    for state in range(VOCAB + 1):
        got = transposed_transition(torch.tensor(state), sigma, VOCAB)
        assert torch.allclose(got, forward[:, state], atol=EXACT)
    score = torch.rand(5, VOCAB + 1, dtype=torch.float64)
    back = score @ torch.linalg.matrix_exp(-sigma * RATES)
    assert torch.allclose(staggered_score(score, sigma), back, atol=EXACT)


def test_the_reverse_step_is_bayes_rule_when_the_score_is_exact() -> None:
    """One position: P(state before | state) from the forward process itself."""
    clean = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    now, then = (total_noise(torch.tensor(t, dtype=torch.float64)) for t in (0.8, 0.3))
    before = torch.cat([clean * torch.exp(-then), (1 - torch.exp(-then)).reshape(1)])
    step = torch.linalg.matrix_exp((now - then) * RATES)
    wanted = before * step[:, VOCAB]
    score = score_of_masked(clean.log(), now)
    got = reverse_law(score, torch.tensor(VOCAB), now - then)
    assert torch.allclose(got, wanted / wanted.sum(), atol=EXACT)
    assert float(got.sum()) == pytest.approx(1, abs=EXACT)
    assert float(1 - got[-1]) == pytest.approx(unmask_chance(float(now), float(now - then)))


def test_limits_of_the_reverse_step() -> None:
    clean = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    sigma = total_noise(torch.tensor(0.6, dtype=torch.float64))
    score = score_of_masked(clean.log(), sigma)
    nothing = reverse_law(score, torch.tensor(VOCAB), 0 * sigma)
    assert nothing.tolist() == pytest.approx([0, 0, 0, 1])
    everything = reverse_law(score, torch.tensor(VOCAB), sigma)
    assert everything.tolist() == pytest.approx([0.5, 0.3, 0.2, 0], abs=EXACT)
    visible = torch.tensor([3.0, 1.0, 7.0, 2.0], dtype=torch.float64)  # score 1 at the state, 1
    assert reverse_law(visible, torch.tensor(1), sigma).tolist() == pytest.approx([0, 1, 0, 0])


def test_schedule_masks_in_proportion_to_time() -> None:
    t = torch.linspace(0, 1, 11, dtype=torch.float64, requires_grad=True)
    sigma = total_noise(t)
    assert torch.allclose(1 - torch.exp(-sigma), (1 - 1e-3) * t)
    slopes = torch.autograd.grad(sigma.sum(), t)[0]
    assert torch.allclose(slopes, noise_rate(t))
    assert sigma_at(0.5) == pytest.approx(float(sigma[5].detach()))
    times = [sigma_at(time) for time in time_grid(4)]
    shares = [unmask_chance(a, a - b) for a, b in itertools.pairwise(times)]
    assert shares == pytest.approx([1 / 4, 1 / 3, 1 / 2, 1])  # of what is left


def sampled_law(num_steps: int) -> dict:
    model = TableModel(100, 2)

    def denoise(state: torch.Tensor, time: float) -> torch.Tensor:
        return posterior(model, tuple(PROMPT), tuple(state.tolist())).log()

    return exact_law(
        lambda randomness: tuple(sample_block(denoise, 2, 2, num_steps, randomness).tolist())
    )


def test_the_reverse_process_approaches_the_law_of_the_data() -> None:
    """Two tokens fall into one of n steps with chance 1/n; only then are they independent."""
    wanted = data_law(2, 2)
    one, four, eight = (distance(sampled_law(n), wanted) for n in (1, 4, 8))
    assert one > 1e-2
    assert four == pytest.approx(one / 4, rel=1e-9)
    assert eight == pytest.approx(one / 8, rel=1e-9)


def test_score_entropy_is_zero_at_the_ratio_only() -> None:
    torch.manual_seed(0)
    ratio = torch.rand(20, 4, dtype=torch.float64)
    ratio[:, 2] = 0.0
    log_score = torch.randn(20, 4, dtype=torch.float64)
    assert (score_entropy(log_score, ratio) > 0).all()
    exact = ratio.clamp(min=1e-300).log()
    assert score_entropy(exact, ratio).abs().max() < EXACT
    exact.requires_grad_()
    slope = torch.autograd.grad(score_entropy(exact, ratio).sum(), exact)[0]
    assert slope.abs().max() < EXACT


def test_denoising_score_entropy_is_the_score_entropy_of_its_paper() -> None:
    torch.manual_seed(0)
    t = torch.rand(10, dtype=torch.float64)
    log_probs = torch.randn(10, VOCAB, dtype=torch.float64).log_softmax(-1)
    for law in (
        torch.eye(VOCAB, dtype=torch.float64)[torch.arange(10) % VOCAB],
        torch.randn(10, VOCAB, dtype=torch.float64).softmax(-1),
    ):
        odds = torch.expm1(total_noise(t))[:, None]
        wanted = noise_rate(t) * score_entropy(log_probs - odds.log(), law / odds)
        got = denoising_score_entropy(log_probs, law, t)
        assert torch.allclose(got, wanted, atol=1e-9)
        divergence = (torch.xlogy(law, law) - law * log_probs).sum(-1)
        assert torch.allclose(got * t, divergence, atol=1e-9)  # its weight is 1/t


def test_denoising_score_entropy_is_minimised_by_the_true_law() -> None:
    """Over the data: its expectation has slope 0 at the data's law, and more elsewhere."""
    clean = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    t = torch.full((VOCAB,), 0.4, dtype=torch.float64)
    tokens = torch.eye(VOCAB, dtype=torch.float64)

    def expected(logits: torch.Tensor) -> torch.Tensor:
        rows = logits.log_softmax(-1).expand(VOCAB, VOCAB)
        return (clean * denoising_score_entropy(rows, tokens, t)).sum()

    best = clean.log().requires_grad_()
    slope = torch.autograd.grad(expected(best), best)[0]
    assert slope.abs().max() < EXACT
    for _ in range(20):
        other = clean.log() + 0.3 * torch.randn(VOCAB, dtype=torch.float64)
        assert expected(other) > expected(clean.log())


# --- refusals


def refused(action: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        action()
    assert "\n" not in str(caught.value)


def test_bad_settings_are_refused() -> None:
    refused(lambda: drafter(0, 0, "hybrid"), "steps must be at least 1, not 0")
    refused(lambda: drafter(0, 1, "lossy"), "acceptance must be one of .*'lossy'")
    source = drafter(0, 2, "left_to_right")
    rule = Match(PLAIN, None)  # type: ignore[arg-type]
    pending = torch.tensor([0])
    refused(lambda: source.propose(pending, Tree.chain(2), rule, None), "was not started")
    source.start(PROMPT, 20)
    refused(lambda: source.propose(pending, Tree((-1, -1)), rule, None), "not trees")


@pytest.mark.parametrize("depth", [1, 3, 8, 16])
@pytest.mark.parametrize("num_steps", [1, 2, 4, 8])
def test_blocks_fill_the_draft(depth: int, num_steps: int) -> None:
    sizes = block_sizes(depth, num_steps, 16)
    assert sum(sizes) == depth
    assert min(sizes) >= 1
    assert len(sizes) == min(depth, num_steps)
