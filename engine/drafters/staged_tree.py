"""Fill a draft's tree with the lower level's help: several depths in one draft call.

The draft runs the tokens it needs together with what the lower level guesses
behind them. Children are chosen from the draft's own logits, as without a
lower level; where a chosen child was among the guesses, its logits are there
already and the walk goes on, else it waits for the next call.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from engine.clock import StageClock
from engine.drafters.base import Draft
from engine.drafters.filling import draft_tree
from engine.masks import Layout
from engine.rules import Greedy, Rule
from engine.sampling import Sampling
from engine.trees import Growth, Tree

if TYPE_CHECKING:
    from engine.drafters.staged import StagedDrafter

LIKELIEST = Greedy(Sampling())


class DraftRows:
    """What the draft has run in this round: the pending token is row 0.

    Reads drafted tokens from the device once per draft call.

    Attributes
    ----------
    below : dict
        (row, token) -> the row of that token behind it.
    logits : list of torch.Tensor [vocab]
        Of every row.
    guessed : list of bool
        Whether a row was run on the lower level's word.
    """

    def __init__(
        self,
        stage: "StagedDrafter",
        pending: torch.Tensor,
        rule: Rule,
        clock: StageClock | None,
        room: int,
    ) -> None:
        self.stage, self.rule, self.clock = stage, rule, clock
        self.below: dict[tuple[int, int], int] = {}
        self.logits: list[torch.Tensor] = []
        self.guessed: list[bool] = []
        self._tokens: list[int] = []
        self._above: list[list[int]] = []  # rows above each row and itself, from the pending token
        self._start = stage.cache.length  # what has not run yet and then row 0 go here
        self._before = 0  # how much had not run
        self._left = room
        self._pending, self.device = pending, pending.device

    def run_first(self, levels: int) -> None:
        """The pending token, with guesses for so many levels behind it."""
        self._add(-1, int(self._pending), False)
        self._guess([(0, levels)])
        self._run(list(self.stage._behind))
        self.stage._behind = []

    def run(self, wanted: Sequence[tuple[int, int, int]]) -> list[int]:
        """Tokens (row above, token, levels to guess behind it); returns their rows."""
        rows = [self._add(above, token, False) for above, token, _ in wanted]
        self._guess([(row, levels) for row, (_, _, levels) in zip(rows, wanted, strict=True)])
        self._run([])
        return rows

    def sources(self, rows: list[int | None]) -> tuple[str, ...]:
        """Level that produced each token, by its row or None where it did not run."""
        guessed = [row is not None and self.guessed[row] for row in rows]
        self.stage.count_accepted(sum(guessed))
        lower, own = self.stage.lower.level, self.stage.level
        return tuple(lower if theirs else own for theirs in guessed)

    def _add(self, above: int, token: int, guessed: bool) -> int:
        row = len(self._tokens)
        self._tokens.append(token)
        self._above.append([row] if above < 0 else [*self._above[above], row])
        self.guessed.append(guessed)
        self.below[above, token] = row
        return row

    def _guess(self, wanted: list[tuple[int, int]]) -> None:
        """Rows for what the lower level expects behind rows, as far as the cache has room."""
        for row, levels in wanted:
            shape = self.stage.lower_shape.cut(levels)
            if shape.depth == 0:
                continue
            guess = self._ask(row, shape)
            if guess is None:
                continue
            place = {-1: row}
            tokens = guess.tokens.tolist()
            for node, parent in enumerate(guess.tree.parents):
                if self._left > 0 and parent in place:
                    place[node] = self._add(place[parent], tokens[node], True)
                    self._left -= 1

    def _ask(self, row: int, shape: Tree | Growth) -> Draft | None:
        """The lower drafter's proposal behind a row; it is left holding the text as before."""
        lower, rule = self.stage.lower, self.rule
        path = [self._tokens[r] for r in self._above[row]]
        for token in path[:-1]:
            lower.skip(torch.tensor([token], device=self.device), None)
        # guesses are compared with choices, so the likeliest serve best, or those under the noise
        judge = rule.lower(len(path) - 1) if rule.guesses else LIKELIEST
        pending = torch.tensor(path[-1:], device=self.device)
        guess = self.stage.ask_lower(pending, shape, judge, self.clock)
        if guess is not None:
            lower.commit([], None)
        lower.rewind(len(path) - (guess is None))
        return guess

    def _run(self, behind: list[torch.Tensor]) -> None:
        """One draft call for all rows that have not run, in front of them what is behind."""
        first, end = len(self.logits), len(self._tokens)
        tokens = torch.tensor(self._tokens[first:], device=self.device)
        if behind:
            self._before = len(behind)
            tokens = torch.cat([*behind, tokens])
        chain = len(self._above[-1]) == end
        layout = None if chain else self._layout(first, end, len(behind))
        logits = self.stage.run(tokens, end - first, layout, self.clock)
        self.logits += logits.unbind(0)

    def _layout(self, first: int, end: int, behind: int) -> Layout:
        """Every row sees the text, what was behind, the rows above it and itself."""
        before, start = self._before, self._start
        size = behind + end - first
        hidden = torch.ones(size, before + end, dtype=torch.bool)
        hidden[:, :before] = False
        if behind:  # those see only one another
            hidden[:behind, :behind] = torch.ones(behind, behind, dtype=torch.bool).triu(1)
        for row in range(first, end):
            hidden[behind + row - first, [before + above for above in self._above[row]]] = False
        model = self.stage.model
        mask = torch.zeros(size, start + before + end, dtype=model.dtype)
        mask[:, start:].masked_fill_(hidden, torch.finfo(model.dtype).min)
        depths = [len(self._above[row]) - 1 for row in range(first, end)]
        places = [*range(start, start + behind), *(start + before + depth for depth in depths)]
        return Layout(torch.tensor(places).to(self.device), mask.to(self.device))


def fill_static(
    rows: DraftRows, tree: Tree, rule: Rule, clock: StageClock | None
) -> tuple[Draft, dict[int, int]]:
    """Every token of a tree of fixed shape.

    Branches do not wait for one another: a draft call runs whatever tokens are
    needed next, at any depth.

    Returns
    -------
    draft : Draft
    ran : dict
        Tokens of the draft that have run -> their row.
    """
    levels = _levels_below(tree)
    ids: dict[int, int] = {}
    row_of = {-1: 0}
    laws: list[torch.Tensor] = []
    law_of: dict[int, int] = {}
    rows.run_first(levels[-1])
    ready = [-1]  # tokens with logits, whose children are to be chosen
    while ready:
        waiting: list[int] = []
        while ready:
            group = _shallowest(tree, ready)
            ready = [node for node in ready if node not in group]
            chosen = _choose(rows, tree, rule, group, row_of, laws, law_of)
            if clock:
                clock.lap("draft_sampling", len(chosen))
            ids |= chosen
            for node, token in chosen.items():
                row = rows.below.get((row_of[tree.parents[node]], token))
                if row is not None:
                    row_of[node] = row
                if node in tree.children:
                    (waiting if row is None else ready).append(node)
        if waiting:
            found = rows.run([(row_of[tree.parents[n]], ids[n], levels[n]) for n in waiting])
            row_of.update(zip(waiting, found, strict=True))
            ready = waiting
    del row_of[-1]
    nodes = range(len(tree))
    draft = Draft(
        torch.tensor([ids[node] for node in nodes], device=rows.device),
        tree,
        torch.cat(laws) if laws else None,
        tuple(law_of[node] for node in nodes) if laws else (),
        rows.sources([row_of.get(node) for node in nodes]),
    )
    return draft, row_of


def _choose(
    rows: DraftRows,
    tree: Tree,
    rule: Rule,
    group: list[int],
    row_of: dict[int, int],
    laws: list[torch.Tensor],
    law_of: dict[int, int],
) -> dict[int, int]:
    """Children of tokens of one depth: token -> id; notes the laws they were drawn from."""
    families = [tree.children[node] for node in group]
    logits = torch.stack([rows.logits[row_of[node]] for node in group])
    depth = 0 if group == [-1] else tree.depths[group[0]]
    choice = rule.choose(logits, depth, max(map(len, families)))
    if choice.laws is not None:
        first = sum(map(len, laws))
        law_of |= {child: first + i for i, family in enumerate(families) for child in family}
        laws.append(choice.laws)
    drawn = choice.tokens.tolist()
    return {
        child: token
        for family, tokens in zip(families, drawn, strict=True)
        for child, token in zip(family, tokens, strict=False)
    }


def _shallowest(tree: Tree, nodes: list[int]) -> list[int]:
    """Those of least depth; only the pending token is -1."""
    if -1 in nodes:
        return [-1]
    depth = min(tree.depths[node] for node in nodes)
    return [node for node in nodes if tree.depths[node] == depth]


def fill_growing(
    rows: DraftRows, shape: Growth, rule: Rule, clock: StageClock | None
) -> tuple[Draft, dict[int, int]]:
    """A growing tree: its levels wait for one another, so a call is saved where all were guessed.

    Returns
    -------
    As ``fill_static``.
    """
    row_of = {-1: 0}
    depth_of = {-1: 0}

    def expand(nodes: Sequence[int], tokens: torch.Tensor, parents: Sequence[int]) -> torch.Tensor:
        waiting = []
        for node, token in zip(nodes, tokens.tolist(), strict=True):
            above = row_of[parents[node]]
            depth_of[node] = depth_of[parents[node]] + 1
            row = rows.below.get((above, token))
            if row is None:
                waiting.append((node, (above, token, shape.depth - 1 - depth_of[node])))
            else:
                row_of[node] = row
        if waiting:
            found = rows.run([wanted for _, wanted in waiting])
            row_of.update(zip((node for node, _ in waiting), found, strict=True))
        return torch.stack([rows.logits[row_of[node]] for node in nodes])

    rows.run_first(shape.depth - 1)
    draft, origin = draft_tree(rows.logits[0][None], shape, rule, expand, clock)
    ran = {node: row_of[known] for node, known in enumerate(origin) if known in row_of}
    sources = rows.sources([ran.get(node) for node in range(len(origin))])
    return replace(draft, sources=sources), ran


def _levels_below(tree: Tree) -> dict[int, int]:
    """For each token that gets children, how many levels of such tokens hang below it."""
    levels: dict[int, int] = {}
    for node in sorted(tree.children, reverse=True):
        inner = [levels[child] for child in tree.children[node] if child in levels]
        levels[node] = 1 + max(inner) if inner else 0
    return levels
