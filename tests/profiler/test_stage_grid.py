import numpy as np
import pytest
import torch

from engine.errors import InputError
from engine.model import wrap
from profiler.random_models import SIZES, random_model
from profiler.stage_grid import ROW, Point, check_points, time_grid_block
from profiler.transfer_grids import batch_grid, context_grid
from tests.tiny_models import tiny_gpt2, tiny_llama

MODELS = [wrap("llama", tiny_llama()), wrap("gpt2", tiny_gpt2())]


@pytest.mark.parametrize("batch", [1, 3])
def test_every_point_of_every_model_is_timed_once_a_block(batch: int) -> None:
    points = [Point(n, k, b) for n in (1, 4) for k in (0, 20) for b in {1, batch}]
    samples = time_grid_block(MODELS, points, block=1)
    assert {(s.model, s.point) for s in samples} == {(m.name, p) for m in MODELS for p in points}
    assert len(samples) == len(MODELS) * len(points)
    assert all(len(s.seconds) == ROW[0] - ROW[1] and min(s.seconds) > 0 for s in samples)
    assert {s.memory for s in samples} == {"counted"}


def test_blocks_differ_in_order_and_memory_counts_weights_and_the_points_own_rows() -> None:
    points = [Point(n, 10, b) for n in (1, 2, 3, 4) for b in (1, 2)]
    orders = [[s.point for s in time_grid_block(MODELS[:1], points, block)] for block in (1, 2)]
    assert orders[0] != orders[1] and set(orders[0]) == set(orders[1])
    held = {s.point: s.memory_bytes for s in time_grid_block(MODELS[:1], points, 1)}
    # keys and values of 2 layers, 2 heads of width 8, in float32, over the longest point
    row = 2 * 2 * 2 * 8 * 4 * (4 + 10)
    assert held[points[0]] == MODELS[0].weight_bytes + row
    assert held[points[1]] == MODELS[0].weight_bytes + 2 * row


def test_more_work_takes_longer() -> None:
    """Order only: 16 times the tokens behind 200 cached ones, against one token alone."""
    points = [Point(1, 0), Point(50, 200)]
    samples = [s for block in range(4) for s in time_grid_block(MODELS[:1], points, block)]
    little, much = (np.median([min(s.seconds) for s in samples if s.point == p]) for p in points)
    assert much > little


def test_points_outside_the_context_are_refused() -> None:
    with pytest.raises(InputError, match="10 new tokens behind 250 cached ones exceed the context"):
        check_points(MODELS[0], [Point(10, 250)])
    with pytest.raises(InputError, match="at least 1 point, not 0"):
        check_points(MODELS[0], [])
    with pytest.raises(InputError, match="tokens and batch must be at least 1"):
        check_points(MODELS[0], [Point(1, 1, 0)])


def test_grids_hold_out_the_longest_context_and_the_larger_batches() -> None:
    for make, quantity in ((context_grid, "context"), (batch_grid, "batch")):
        grid = make(MODELS[0])
        parts = {
            role: {getattr(p, quantity) for p, r in zip(grid.points, grid.roles, strict=True)
                   if r == role}
            for role in ("calibration", "held out")
        }  # fmt: skip
        assert max(parts["calibration"]) < min(parts["held out"])
        assert len(parts["calibration"]) == 2
    with pytest.raises(InputError, match="a context of at least 64 tokens, short has 32"):
        context_grid(wrap("short", tiny_llama(context=32)))


def test_a_random_model_has_its_configurations_size_and_leaves_torchs_generator_alone() -> None:
    config = SIZES["cpu"]["llama-3m"]
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    model = random_model("llama-3m", config, torch.device("cpu"), "bfloat16")
    assert torch.equal(torch.rand(1), expected)
    assert model.hf.config.num_hidden_layers == 4 and model.dtype == torch.bfloat16
    assert model.forward_kind == "lean"
    with pytest.raises(InputError, match="dtype must be one of"):
        random_model("llama-3m", config, torch.device("cpu"), "int8")
