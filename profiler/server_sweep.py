"""How fast are servers with and without drafts, by the number of sequences at once?

Every wave of prompts goes to each server in turn, so that what slows the machine slows them
alike; while one works the others wait. A wave ends before the next begins: how many sequences
run together is then known for every piece of every answer.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

from engine.errors import InputError
from profiler.completions import About, Endpoint, ServerError
from profiler.progress import Report, Step, silent
from profiler.server_log import SweepLog, Unit, UnitKey, Wave
from profiler.vllm_server import Server

WARM_UP_TOKENS = 8


@dataclass(frozen=True)
class SweepPlan:
    """What every server is asked.

    Attributes
    ----------
    prompts : tuple of str
    new_tokens : int
        Tokens of every answer; end-of-text does not stop it. [tokens]
    batches : tuple of int
        Prompts sent at once; those that fill no whole wave are left out. [sequences]

    Raises
    ------
    InputError
        If a number leaves its bound.
    """

    prompts: tuple[str, ...]
    new_tokens: int
    batches: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.new_tokens < 2:
            raise InputError(
                f"new tokens must be at least 2, not {self.new_tokens}: the first is the prefill's"
            )
        for batch in self.batches:
            if not 1 <= batch <= len(self.prompts):
                raise InputError(
                    f"batch must be in 1 to the {len(self.prompts)} prompts, not {batch}"
                )

    @property
    def waves(self) -> list[tuple[int, int]]:
        """(batch, number) of every wave, batches taken in turns so that each sees all of it."""
        each = [
            (number * batch, batch, number)
            for batch in dict.fromkeys(self.batches)
            for number in range(len(self.prompts) // batch)
        ]
        return [(batch, number) for _, batch, number in sorted(each)]

    def keys(self, labels: tuple[str, ...]) -> list[UnitKey]:
        """What a session with these servers measures."""
        return [(labels, batch, number) for batch, number in self.waves]


@dataclass(frozen=True)
class Session:
    """Servers that are measured in turn.

    Attributes
    ----------
    endpoints : tuple of Endpoint
    abouts : tuple of About
    local : mapping of str to Server
        Those that were started here, by address: each is stopped while the others work.
    """

    endpoints: tuple[Endpoint, ...]
    abouts: tuple[About, ...]
    local: Mapping[str, Server] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the servers, the plain one first."""
        return tuple(about.label for about in self.abouts)


def open_session(
    endpoints: Sequence[Endpoint],
    model: str | None = None,
    local: Mapping[str, Server] | None = None,
) -> Session:
    """Ask every server what it is, and refuse what cannot be compared.

    Parameters
    ----------
    endpoints : sequence of Endpoint
    model : str, optional
        The model that they are said to serve.
    local : mapping of str to Server, optional
        Those that were started here, by address.

    Raises
    ------
    ServerError
        If one does not answer, serves another model, two draft alike, or none drafts.
    """
    abouts = tuple(endpoint.about() for endpoint in endpoints)
    for endpoint, about in zip(endpoints, abouts, strict=True):
        wanted = model or abouts[0].model
        if _last(about.model) != _last(wanted):
            raise ServerError(f"{endpoint.url} serves '{about.model}', not '{wanted}'")
    labels = [about.label for about in abouts]
    if twice := [label for label in labels if labels.count(label) > 1]:
        raise ServerError(f"two servers are {twice[0]}: each must draft another number of tokens")
    if not any(about.num_draft_tokens for about in abouts):
        raise ServerError(
            f"{endpoints[0].url} does not speculate: start it with a --speculative-config "
            "(speculens serve-vllm does), and name the plain one beside it"
        )
    ordered = sorted(zip(endpoints, abouts, strict=True), key=lambda p: p[1].num_draft_tokens)
    return Session(tuple(e for e, _ in ordered), tuple(a for _, a in ordered), local or {})


def sweep(session: Session, plan: SweepPlan, log: SweepLog, report: Report = silent) -> None:
    """Send all waves to all servers of a session; what the log has is not measured again.

    Parameters
    ----------
    session : Session
    plan : SweepPlan
    log : SweepLog
        Receives every unit as it is measured.
    report : callable
        Receives a Step after every unit.

    Raises
    ------
    ServerError
        If a server fails, or counts no draft at all; the units before are kept.
    """
    _check_room(session, plan)
    missing = [key for key in plan.keys(session.labels) if key not in log]
    if missing:
        _warm_up(session, plan)
    with _asleep(session):
        for done, (_, batch, number) in enumerate(missing, start=1):
            waves = []
            for endpoint, about in _in_turn(session, number):
                with _awake(session, endpoint):
                    waves.append(_wave(endpoint, about, plan, batch, number))
            waves.sort(key=lambda wave: wave.num_draft_tokens)
            log.add(number, Unit(session.labels, session.abouts[0].version, tuple(waves)))
            what = f"{', '.join(session.labels)}: batch {batch}, wave {number + 1}"
            report(Step(what, done, len(missing)))
    _check_drafted(session, log)


@contextmanager
def _asleep(session: Session) -> Iterator[None]:
    """Every local server stopped, woken again at the end."""
    for server in session.local.values():
        server.sleep()
    try:
        yield
    finally:
        for server in session.local.values():
            server.wake()


def _awake(session: Session, endpoint: Endpoint) -> AbstractContextManager[None]:
    server = session.local.get(endpoint.url)
    return nullcontext() if server is None else server.awake()


def _check_room(session: Session, plan: SweepPlan) -> None:
    for endpoint, about in zip(session.endpoints, session.abouts, strict=True):
        room = about.max_model_len
        if room is not None and plan.new_tokens >= room:
            raise ServerError(
                f"{endpoint.url} takes {room} tokens, prompt and answer together: "
                f"{plan.new_tokens} new ones do not fit"
            )


def _check_drafted(session: Session, log: SweepLog) -> None:
    for endpoint, about in zip(session.endpoints, session.abouts, strict=True):
        drafts = about.num_draft_tokens
        counted = [
            wave.counted.drafts
            for unit in log.units.values()
            for wave in unit.waves
            if wave.num_draft_tokens == drafts
        ]
        if drafts and not sum(counted):
            raise ServerError(
                f"{endpoint.url} says K = {drafts}, but counted no draft in {len(counted)} waves: "
                "speculation is off at this load, or the metrics are another server's"
            )


def _warm_up(session: Session, plan: SweepPlan) -> None:
    """A first request of every batch compiles and allocates; nobody waits for that twice."""
    for endpoint, about in zip(session.endpoints, session.abouts, strict=True):
        for batch in sorted({1, max(plan.batches)}):
            endpoint.complete_all(
                about.model, plan.prompts[:batch], min(WARM_UP_TOKENS, plan.new_tokens)
            )


def _in_turn(session: Session, number: int) -> list[tuple[Endpoint, About]]:
    """Forwards and backwards: none is always the first."""
    pairs = list(zip(session.endpoints, session.abouts, strict=True))
    return pairs[:: -1 if number % 2 else 1]


def _wave(endpoint: Endpoint, about: About, plan: SweepPlan, batch: int, number: int) -> Wave:
    chosen = tuple(range(number * batch, (number + 1) * batch))
    prompts = [plan.prompts[i] for i in chosen]
    # who just slept, or ran something else, begins slowly
    endpoint.complete_all(about.model, prompts, min(WARM_UP_TOKENS, plan.new_tokens))
    before = endpoint.settled()
    answers = endpoint.complete_all(about.model, prompts, plan.new_tokens)
    counted = endpoint.counted(before, endpoint.settled())
    return Wave(about.num_draft_tokens, batch, chosen, tuple(answers), counted)


def _last(name: str) -> str:
    return name.rstrip("/").rsplit("/", 1)[-1]
