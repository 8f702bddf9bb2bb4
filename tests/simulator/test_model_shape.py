"""Model shapes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.model_shape import ModelShape

SMALL = ModelShape(2, 8, 4, 2, 4, 2, 16, 10)


@given(st.integers(1, 9), st.integers(1, 64), st.integers(1, 4), st.integers(1, 4))
def test_parameters_are_linear_in_the_layers(layers, hidden, kv_heads, group):
    def parameters(n):
        return ModelShape(n, hidden, kv_heads * group, kv_heads, 4, n, 12, 7).num_parameters

    assert parameters(layers + 1) - parameters(layers) == parameters(2) - parameters(1)


def test_one_expert_that_all_visit_is_a_dense_model_with_a_router():
    experts = replace(SMALL, dense_layers=0, num_experts=1, experts_per_token=1, expert_size=16)
    router = SMALL.num_layers * SMALL.hidden_size
    assert experts.num_parameters == SMALL.num_parameters + router
    assert experts.num_active_parameters == experts.num_parameters


def test_untying_adds_one_table_and_dropping_the_gate_takes_a_third():
    table = SMALL.vocab_size * SMALL.hidden_size
    assert replace(SMALL, tied_embeddings=False).num_parameters == SMALL.num_parameters + table
    matrix = SMALL.num_layers * SMALL.hidden_size * SMALL.intermediate_size
    assert replace(SMALL, gated=False).num_parameters == SMALL.num_parameters - matrix


def test_grouped_queries_shrink_the_cache_in_proportion():
    assert replace(SMALL, num_kv_heads=4).kv_values_per_token == 2 * SMALL.kv_values_per_token


def test_bad_shapes_are_refused():
    with pytest.raises(ValueError, match="num_layers must be finite and >= 1, not 0"):
        replace(SMALL, num_layers=0)
    with pytest.raises(ValueError, match="num_heads must be a multiple of num_kv_heads 3, not 4"):
        replace(SMALL, num_kv_heads=3)
    with pytest.raises(ValueError, match="dense_layers must be <= 2, not 3"):
        replace(SMALL, dense_layers=3)
    with pytest.raises(ValueError, match=r"experts_per_token must be in \[1, num_experts 4\]"):
        replace(SMALL, dense_layers=0, num_experts=4, experts_per_token=5)
