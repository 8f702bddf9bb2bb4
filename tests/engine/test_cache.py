import pytest
import torch

from engine.cache import KVCache
from engine.errors import InputError


def make_cache(capacity: int = 8) -> KVCache:
    cache = KVCache(2, 1, 3, capacity, dtype=torch.float32, device=torch.device("cpu"))
    return cache


def fill(cache: KVCache, values: list[float]) -> None:
    for layer in range(2):
        block = torch.tensor(values)[None, None, :, None].expand(1, 1, -1, 3) + 100 * layer
        cache.write(layer, block, -block)
    cache.advance(len(values))


def held(cache: KVCache, layer: int = 0) -> list[float]:
    return cache.keys[layer, 0, 0, : cache.length, 0].tolist()


def test_write_returns_views_that_end_with_the_new_tokens() -> None:
    cache = make_cache()
    fill(cache, [1, 2])
    block = torch.full((1, 1, 1, 3), 9.0)
    keys, values = cache.write(0, block, block)
    assert keys[0, 0, :, 0].tolist() == [1, 2, 9]
    assert values.shape == (1, 1, 3, 3)
    assert cache.length == 2  # only advance() counts


def test_rollback_keeps_the_address_and_the_prefix() -> None:
    cache = make_cache()
    address = cache.keys.data_ptr()
    fill(cache, [1, 2, 3, 4])
    cache.rollback(2)
    fill(cache, [7])
    assert held(cache) == [1, 2, 7]
    assert held(cache, 1) == [101, 102, 107]
    assert cache.keys.data_ptr() == address


def test_commit_gathers_an_accepted_path_in_place() -> None:
    cache = make_cache()
    fill(cache, [1, 2, 10, 11, 12, 13])
    cache.commit(2, [0, 2, 3])  # overlapping source and destination
    assert held(cache) == [1, 2, 10, 12, 13]
    assert cache.values[1, 0, 0, :5, 0].tolist() == [-101, -102, -110, -112, -113]


def test_commit_of_a_chain_is_a_rollback() -> None:
    cache = make_cache()
    fill(cache, [1, 2, 10, 11])
    cache.commit(2, [0])
    assert held(cache) == [1, 2, 10]


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda c: c.rollback(5), "cannot roll back to 5 tokens: the cache holds 4"),
        (lambda c: c.commit(2, [1, 1]), "must increase strictly"),
        (lambda c: c.commit(2, [2]), "ends at token 4, the cache holds 4"),
        (lambda c: c.require(5), "5 tokens do not fit: the cache holds 4 of 8, 4 free"),
    ],
)
def test_what_does_not_fit_is_refused_with_value_and_bound(action, message) -> None:  # type: ignore[no-untyped-def]
    cache = make_cache()
    fill(cache, [1, 2, 3, 4])
    with pytest.raises(InputError, match=message):
        action(cache)
    assert held(cache) == [1, 2, 3, 4]
