"""The table of shapes, against published parameter counts."""

import pytest

from simulator.known_models import KNOWN_MODELS, known_shape

# Parameters as the Hugging Face hub counts them in each model's safetensors files; Pythia: "total
# parameters" in the table of its README (github.com/EleutherAI/pythia). What the hub counts besides
# the weights is taken off below. docs/sources.md says where each was read, 2026-11-21.
PUBLISHED = {
    "distilgpt2": 81_912_576, "gpt2": 124_439_808, "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080, "gpt2-xl": 1_557_611_200,
    "Llama-2-7b-hf": 6_738_415_616, "Llama-2-13b-hf": 13_015_864_320,
    "Llama-2-70b-hf": 68_976_648_192, "TinyLlama-1.1B-Chat-v1.0": 1_100_048_384,
    "Llama-3.2-1B": 1_235_814_400, "Llama-3.2-3B": 3_212_749_824,
    "Llama-3.1-8B": 8_030_261_248, "Llama-3.1-70B": 70_553_706_496,
    "Llama-3.3-70B-Instruct": 70_553_706_496, "Llama-3.1-405B": 405_853_388_800,
    "Mistral-7B-v0.3": 7_248_023_552, "Mistral-Small-24B-Base-2501": 23_572_403_200,
    "Qwen2.5-0.5B": 494_032_768, "Qwen2.5-1.5B": 1_543_714_304, "Qwen2.5-3B": 3_085_938_688,
    "Qwen2.5-7B": 7_615_616_512, "Qwen2.5-14B": 14_770_033_664,
    "Qwen2.5-32B": 32_763_876_352, "Qwen2.5-72B": 72_706_203_648,
    "Qwen3-0.6B": 751_632_384, "Qwen3-1.7B": 2_031_739_904, "Qwen3-4B": 4_022_468_096,
    "Qwen3-8B": 8_190_735_360, "Qwen3-14B": 14_768_307_200, "Qwen3-32B": 32_762_123_264,
    "pythia-70m": 70_426_624, "pythia-160m": 162_322_944, "pythia-410m": 405_334_016,
    "pythia-1b": 1_011_781_632, "pythia-1.4b": 1_414_647_808, "pythia-2.8b": 2_775_208_960,
    "pythia-6.9b": 6_857_302_016, "pythia-12b": 11_846_072_320,
    "SmolLM-135M": 134_515_008, "SmolLM-360M": 361_821_120, "SmolLM-1.7B": 1_711_376_384,
    "SmolLM2-135M": 134_515_008, "SmolLM2-360M": 361_821_120, "SmolLM2-1.7B": 1_711_376_384,
    "SmolLM3-3B": 3_075_098_624,
    "gemma-2-2b": 2_614_341_888, "gemma-2-9b": 9_241_705_984, "gemma-2-27b": 27_227_128_320,
    "gemma-3-1b-it": 999_885_952, "gemma-3-4b-it": 4_300_079_472,
    "gemma-3-12b-it": 12_187_325_040, "gemma-3-27b-it": 27_432_406_640,
    "Phi-3-mini-4k-instruct": 3_821_079_552, "phi-4": 14_659_507_200,
    "Phi-4-mini-instruct": 3_836_021_760,
    "Mixtral-8x7B-v0.1": 46_702_792_704, "Mixtral-8x22B-Instruct-v0.1": 140_630_071_296,
    "Qwen3-30B-A3B": 30_532_122_624, "Qwen3-235B-A22B": 235_093_634_560,
    "gpt-oss-20b": 20_914_757_184, "gpt-oss-120b": 116_829_156_672,
    "deepseek-moe-16b-base": 16_375_728_128, "DeepSeek-V2-Lite": 15_706_484_224,
    "DeepSeek-V3": 671_026_419_200,
}  # fmt: skip


def vision_parameters(text_hidden: int) -> int:
    """Of Gemma 3's image part: SigLIP, 27 layers of width 1152 over 64 x 64 patches of 14 x 14."""
    width, inner, layers, patches = 1152, 4304, 27, 64**2
    attention, feed_forward = 4 * (width**2 + width), 2 * width * inner + inner + width
    tower = 3 * 14**2 * width + width + patches * width + 2 * width
    tower += layers * (attention + feed_forward + 4 * width)
    return tower + width * text_hidden + width


BESIDES = {
    # a shared table that the hub counts twice
    "Qwen3-0.6B": 151_936 * 1024, "Qwen3-1.7B": 151_936 * 2048,
    "gemma-3-4b-it": vision_parameters(2560), "gemma-3-12b-it": vision_parameters(3840),
    "gemma-3-27b-it": vision_parameters(5376),
    # one number per expert that balances load; no weight in Transformers
    "DeepSeek-V3": 58 * 256,
}  # fmt: skip


def test_every_model_of_the_table_has_its_published_parameters():
    assert len(PUBLISHED) == len(KNOWN_MODELS)
    for name, parameters in PUBLISHED.items():
        assert known_shape(name).num_parameters == parameters - BESIDES.get(name, 0), name


@pytest.mark.parametrize(
    ("name", "billions", "source"),
    [
        ("Mixtral-8x7B-v0.1", 12.9, "arXiv:2401.04088, section 1: 13B active"),
        ("Qwen3-30B-A3B", 3.35, "arXiv:2505.09388, table 2: A3B"),
        ("deepseek-moe-16b-base", 2.83, "arXiv:2401.06066, section 5.1: about 2.8B activated"),
        ("Mixtral-8x22B-Instruct-v0.1", 39.2, "mistral.ai/news/mixtral-8x22b: 39B active"),
        ("Qwen3-235B-A22B", 22.2, "arXiv:2505.09388, table 2: A22B"),
    ],
)
def test_active_parameters_are_those_published(name, billions, source):
    active = known_shape(name).num_active_parameters
    assert active / 1e9 == pytest.approx(billions, rel=0.005), source


@pytest.mark.parametrize(
    ("name", "billions", "source"),
    [
        ("gpt-oss-20b", 3.61, "arXiv:2508.10925, table 1"),
        ("gpt-oss-120b", 5.13, "arXiv:2508.10925, table 1"),
        ("DeepSeek-V2-Lite", 2.45, "arXiv:2405.04434, appendix B: 2.4B activated"),
        ("DeepSeek-V3", 36.6, "arXiv:2412.19437: 37B activated"),
    ],
)
def test_active_parameters_without_the_embedding_are_those_published(name, billions, source):
    shape = known_shape(name)
    active = shape.num_active_parameters - shape.vocab_size * shape.hidden_size
    assert active / 1e9 == pytest.approx(billions, rel=0.003), source


def test_latent_attention_caches_576_numbers_a_layer():
    """arXiv:2405.04434, section 2.1.4 (9/2 of a head's width): 512 latent and 64 rotary ones."""
    assert known_shape("DeepSeek-V2-Lite").kv_values_per_token == 27 * 576
    assert known_shape("DeepSeek-V3").kv_values_per_token == 61 * 576


def test_full_and_short_names_mean_the_same():
    assert known_shape("Qwen/Qwen3-8B") == known_shape("Qwen3-8B")


def test_vocabularies_of_pairs_agree_only_where_they_do():
    """Drafting needs one vocabulary: Qwen2.5-0.5B pads its table to another size than 7B."""
    assert known_shape("Llama-3.2-1B").vocab_size == known_shape("Llama-3.1-70B").vocab_size
    assert known_shape("Qwen2.5-0.5B").vocab_size != known_shape("Qwen2.5-7B").vocab_size


def test_an_unknown_name_is_refused_with_similar_ones():
    with pytest.raises(ValueError, match=r"'Llama-3\.1-7B' is not in the table; similar: .*Llama"):
        known_shape("Llama-3.1-7B")
