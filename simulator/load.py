"""What do users of a loaded server see, with and without speculation?

Continuous batching played out round by round: requests arrive, wait for a
place, are prefilled one after another, then share rounds with whoever else is
running. Times and acceptance come from a ``RoundTable``; randomness is passed
in.
"""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.arrivals import Requests
from simulator.checks import FloatArray, IntArray, above, at_least
from simulator.round_table import RoundTable


@dataclass(frozen=True, eq=False)
class Load:
    """What happened to every request and in every round.

    Attributes
    ----------
    requests : Requests
    admitted_seconds, first_token_seconds, finish_seconds : array [num_requests]
        Given a place; first token (end of prefill); last token. [s]
    round_seconds : array [num_rounds]
        [s]
    round_batch : array [num_rounds]
        Sequences that ran. [sequences]
    round_emitted : array [num_rounds]
        Over all sequences; what a request does not want is not counted. [tokens]
    running_seconds : float
        Integral over time of the requests in service. [s]
    """

    requests: Requests
    admitted_seconds: FloatArray
    first_token_seconds: FloatArray
    finish_seconds: FloatArray
    round_seconds: FloatArray
    round_batch: IntArray
    round_emitted: IntArray
    running_seconds: float

    @property
    def makespan(self) -> float:
        """From the first arrival to the last token. [s]"""
        return float(self.finish_seconds.max() - self.requests.arrival_seconds[0])

    @property
    def throughput(self) -> float:
        """Tokens per second over the makespan. [tokens/s]"""
        return float(self.requests.output_tokens.sum()) / self.makespan

    @property
    def time_to_first_token(self) -> FloatArray:
        """From arrival to first token, per request. [s]"""
        return self.first_token_seconds - self.requests.arrival_seconds

    @property
    def time_per_output_token(self) -> FloatArray:
        """Mean time between tokens of a request; 0 for a request of one token. [s]"""
        gaps = self.requests.output_tokens - 1
        return (self.finish_seconds - self.first_token_seconds) / np.maximum(gaps, 1)

    @property
    def mean_running(self) -> float:
        """Requests in service, averaged over the makespan. [requests]"""
        return self.running_seconds / self.makespan

    def goodput(self, max_first_token: float, max_per_token: float) -> float:
        """Requests per second that met both objectives. [requests/s]

        Parameters
        ----------
        max_first_token : float, > 0
            On the time to the first token. [s]
        max_per_token : float, > 0
            On the time per output token. [s]

        Raises
        ------
        ValueError
            If an objective is not above 0.
        """
        met = self.time_to_first_token <= float(above("max_first_token", max_first_token, 0))
        met &= self.time_per_output_token <= float(above("max_per_token", max_per_token, 0))
        return float(met.sum()) / self.makespan


def simulate_load(
    requests: Requests,
    table: RoundTable,
    prefill_seconds: ArrayLike,
    *,
    rng: np.random.Generator,
) -> Load:
    """Serve requests with continuous batching.

    Parameters
    ----------
    requests : Requests
    table : RoundTable
        Its schedule sets the drafts by the number of running sequences, its
        length the most that run at once.
    prefill_seconds : float or array [num_requests], >= 0
        [s]
    rng : numpy.random.Generator
        Draws acceptances; not used by rounds without drafts.

    Returns
    -------
    Load

    Raises
    ------
    ValueError
        If a prefill time is negative or a request outgrows the table.

    Notes
    -----
    Equation (M11.5) in docs/model.md. Requests are admitted in order of
    arrival between rounds; prefill holds everybody up (no chunks) and yields
    the first token. A round takes the time of its batch at the mean context of
    its sequences and emits for each a number of its own. Left out: running out
    of cache memory, preemption, shorter last rounds, acceptance that differs
    between requests or along a text.

    Examples
    --------
    >>> from simulator.arrivals import poisson_requests
    >>> table = RoundTable(np.array([2, 0]), np.array([0.0, 500.0]), np.full((2, 2), 0.01),
    ...                    np.array([0.8, 0.8]))
    >>> rng = np.random.default_rng(0)
    >>> load = simulate_load(poisson_requests(0.5, 200, 100, 50, rng=rng), table, 0.02, rng=rng)
    >>> 0.01 / 2.44 < float(load.time_per_output_token.mean()) < 0.01
    True
    """
    number, max_batch = requests.number, table.max_batch
    prefill = np.broadcast_to(at_least("prefill_seconds", prefill_seconds, 0), number).tolist()
    longest = int((requests.prompt_tokens + requests.output_tokens).max())
    if table.contexts.size > 1 and longest > table.contexts[-1]:
        raise ValueError(
            f"contexts of the table must reach {longest} tokens, not {table.contexts[-1]:g}"
        )
    arrival, outputs = requests.arrival_seconds.tolist(), requests.output_tokens.tolist()
    admitted, first, finish = np.zeros((3, number))
    running = _Running()
    rounds: list[tuple[float, int, int]] = []
    now, head, running_seconds = 0.0, 0, 0.0
    while head < number or running.size:
        if not running.size:
            now = max(now, arrival[head])
        joined: list[int] = []
        while head < number and arrival[head] <= now and running.size + len(joined) < max_batch:
            admitted[head] = now
            now += prefill[head]
            running_seconds += prefill[head] * (running.size + len(joined) + 1)
            first[head] = finish[head] = now
            if outputs[head] > 1:
                joined.append(head)
            head += 1
        running.join(joined, requests)
        if not running.size:
            continue
        batch = running.size
        seconds = _lookup(table, batch, running.mean_context)
        now += seconds
        running_seconds += seconds * batch
        emitted, done = running.emit(_draw(table, batch, rng))
        finish[done] = now
        rounds.append((seconds, batch, emitted))
    times, batches, tokens = zip(*rounds, strict=True) if rounds else ((), (), ())
    return Load(
        requests,
        admitted,
        first,
        finish,
        np.array(times, dtype=np.float64),
        np.array(batches, dtype=np.int64),
        np.array(tokens, dtype=np.int64),
        running_seconds,
    )


class _Running:
    """Requests that run: which, tokens they still want, tokens they have cached."""

    def __init__(self) -> None:
        self.row, self.wanted, self.cached = np.zeros((3, 0), dtype=np.int64)

    @property
    def size(self) -> int:
        return self.row.size

    @property
    def mean_context(self) -> float:
        return float(self.cached.sum()) / self.row.size

    def join(self, joined: list[int], requests: Requests) -> None:
        if joined:
            self.row = np.append(self.row, joined)
            self.wanted = np.append(self.wanted, requests.output_tokens[joined] - 1)
            self.cached = np.append(self.cached, requests.prompt_tokens[joined])

    def emit(self, drawn: IntArray) -> tuple[int, IntArray]:
        """Tokens that were wanted, and the requests that are done with them."""
        emitted = np.minimum(drawn, self.wanted)
        self.wanted, self.cached = self.wanted - emitted, self.cached + emitted
        going = self.wanted > 0
        done = self.row[~going]
        if done.size:
            self.row, self.wanted = self.row[going], self.wanted[going]
            self.cached = self.cached[going]
        return int(emitted.sum()), done


def _lookup(table: RoundTable, batch: int, context: float) -> float:
    """Time of a round, linear between the contexts of the table."""
    times, places = table.seconds[batch - 1], table.contexts
    if places.size == 1:
        return float(times[0])
    high = min(max(bisect_right(places, context), 1), places.size - 1)
    share = (context - places[high - 1]) / (places[high] - places[high - 1])
    return float(times[high - 1] + max(share, 0.0) * (times[high] - times[high - 1]))


def _draw(table: RoundTable, batch: int, rng: np.random.Generator) -> IntArray:
    """Tokens that each sequence emits in a round [batch]; (M2.2)."""
    if table.num_draft_tokens[batch - 1] == 0:
        return np.ones(batch, dtype=np.int64)
    cdf = table.emitted_cdf[batch - 1]
    # the last entry may round to just below 1
    return 1 + np.searchsorted(cdf[:-1], rng.random(batch), side="right")
