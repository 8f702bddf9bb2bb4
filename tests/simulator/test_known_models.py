"""The table of shapes, against published parameter counts."""

import pytest

from simulator.known_models import KNOWN_MODELS, known_shape

# Parameters as the Hugging Face hub counts them in each model's safetensors files; Pythia: "total
# parameters" in the table of its README (github.com/EleutherAI/pythia); Qwen3 with tied embeddings:
# the model's own num_parameters(), the hub counts the shared table twice for some of them.
PUBLISHED = {
    "distilgpt2": 81_912_576, "gpt2": 124_439_808, "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080, "gpt2-xl": 1_557_611_200,
    "Llama-2-7b-hf": 6_738_415_616, "Llama-2-13b-hf": 13_015_864_320,
    "Llama-2-70b-hf": 68_976_648_192, "TinyLlama-1.1B-Chat-v1.0": 1_100_048_384,
    "Llama-3.2-1B": 1_235_814_400, "Llama-3.2-3B": 3_212_749_824,
    "Llama-3.1-8B": 8_030_261_248, "Llama-3.1-70B": 70_553_706_496,
    "Qwen2.5-0.5B": 494_032_768, "Qwen2.5-1.5B": 1_543_714_304, "Qwen2.5-3B": 3_085_938_688,
    "Qwen2.5-7B": 7_615_616_512, "Qwen2.5-14B": 14_770_033_664,
    "Qwen2.5-32B": 32_763_876_352, "Qwen2.5-72B": 72_706_203_648,
    "Qwen3-0.6B": 596_049_920, "Qwen3-1.7B": 1_720_574_976, "Qwen3-4B": 4_022_468_096,
    "Qwen3-8B": 8_190_735_360, "Qwen3-14B": 14_768_307_200, "Qwen3-32B": 32_762_123_264,
    "pythia-70m": 70_426_624, "pythia-160m": 162_322_944, "pythia-410m": 405_334_016,
    "pythia-1b": 1_011_781_632, "pythia-1.4b": 1_414_647_808, "pythia-2.8b": 2_775_208_960,
    "pythia-6.9b": 6_857_302_016, "pythia-12b": 11_846_072_320,
    "SmolLM-135M": 134_515_008, "SmolLM-360M": 361_821_120, "SmolLM-1.7B": 1_711_376_384,
    "Mixtral-8x7B-v0.1": 46_702_792_704, "Qwen3-30B-A3B": 30_532_122_624,
    "deepseek-moe-16b-base": 16_375_728_128,
}  # fmt: skip


def test_every_model_of_the_table_has_its_published_parameters():
    assert len(PUBLISHED) == len(KNOWN_MODELS)
    for name, parameters in PUBLISHED.items():
        assert known_shape(name).num_parameters == parameters, name


@pytest.mark.parametrize(
    ("name", "billions", "source"),
    [
        ("Mixtral-8x7B-v0.1", 12.9, "arXiv:2401.04088, section 1: 13B active"),
        ("Qwen3-30B-A3B", 3.35, "arXiv:2505.09388, table 2: A3B"),
        ("deepseek-moe-16b-base", 2.83, "arXiv:2401.06066, section 5.1: about 2.8B activated"),
    ],
)
def test_active_parameters_are_those_published(name, billions, source):
    active = known_shape(name).num_active_parameters
    assert active / 1e9 == pytest.approx(billions, rel=0.005), source


def test_full_and_short_names_mean_the_same():
    assert known_shape("Qwen/Qwen3-8B") == known_shape("Qwen3-8B")


def test_vocabularies_of_pairs_agree_only_where_they_do():
    """Drafting needs one vocabulary: Qwen2.5-0.5B pads its table to another size than 7B."""
    assert known_shape("Llama-3.2-1B").vocab_size == known_shape("Llama-3.1-70B").vocab_size
    assert known_shape("Qwen2.5-0.5B").vocab_size != known_shape("Qwen2.5-7B").vocab_size


def test_an_unknown_name_is_refused_with_similar_ones():
    with pytest.raises(ValueError, match=r"'Llama-3\.1-7B' is not in the table; similar: .*Llama"):
        known_shape("Llama-3.1-7B")
