"""The command line end to end on small real models in folders."""

import json
import math
import sys
from pathlib import Path

import pytest

from app import transfer_results
from app.cli import main
from engine.katz import load_ngram
from engine.model import load_model
from measurements import load_profile, scan
from profiler import run as profiler_run
from profiler.random_models import SIZES
from tests.tiny_models import save_tiny_pair, tiny_llama, tiny_tokenizer

PROMPTS = ["def add(first, second):\n    return", "for item in", "print(item)\n\nfor"]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": text}) for text in PROMPTS))
    return path


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Exit code of the console script."""
    monkeypatch.setattr(sys, "argv", ["speculens", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def pair_options(folder: Path, family: str, prompts: Path, out: Path) -> list[object]:
    target, draft = save_tiny_pair(folder, family)
    return [
        "--target", target, "--draft", draft, "--device", "cpu", "--dtype", "float32",
        "--prompts", prompts, "--new-tokens", 24, "--out", out,
    ]  # fmt: skip


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_any_pair_goes_through_profile_predict_validate(
    family: str, tmp_path: Path, prompts: Path, monkeypatch, capsys
) -> None:
    out = tmp_path / "runs"
    options = pair_options(tmp_path, family, prompts, out)
    assert call(monkeypatch, "profile", *options, "--blocks", 2, "--json") == 0
    profile = json.loads(capsys.readouterr().out)
    assert Path(profile["record"]).is_file()
    assert 0 < profile["cost_ratio"] < 5
    assert set(profile["acceptance_rate"]) == {"T0", "T1"}

    assert call(monkeypatch, "predict", "--out", out, "--gamma", 1, "--gamma", 3, "--json") == 0
    predicted = json.loads(capsys.readouterr().out)
    assert [s["parameters"]["num_draft_tokens"] for s in predicted["settings"]] == [1, 3, 1, 3]
    assert set(predicted["best"]) == {"T0", "T1"}

    assert call(monkeypatch, "optimize", "--out", out, "--max-verify", 5, "--json") == 0
    chosen = json.loads(capsys.readouterr().out)
    assert {"best", "indistinguishable", "pareto", "verdict"} <= chosen.keys()
    ranked = [row["parameters"]["num_draft_tokens"] for row in chosen["ranking"]]
    assert sorted(ranked) == [1, 2, 3, 4]  # five tokens verified a round, at most
    speeds = [row["speedup"]["L2"] for row in chosen["ranking"]]
    assert speeds == sorted(speeds, reverse=True)
    assert (chosen["best"] is None) == (speeds[0] <= 1)
    assert {row["sampling"] for row in chosen["by_sampling"]} == {"T0", "T1"}
    assert call(monkeypatch, "optimize", "--out", out, "--max-memory-mb", 0, "--json") == 0
    nothing = json.loads(capsys.readouterr().out)
    assert nothing["best"] is None and not nothing["ranking"]
    assert all("MB beside the target, more than 0 MB" in r["reason"] for r in nothing["refused"])
    assert call(monkeypatch, "optimize", "--out", out, "--max-memory-mb", -1) == 2
    assert "at least 0 MB, not -1" in capsys.readouterr().err
    assert call(monkeypatch, "optimize", "--out", out, "--max-verify", 0) == 2
    assert "must be at least 1, not 0" in capsys.readouterr().err
    assert call(monkeypatch, "optimize", "--out", out, "--sampling", "T9") == 2
    assert "has no trace at T9, only at T0, T1" in capsys.readouterr().err

    report = tmp_path / "report.html"
    gammas = ["--gamma", 1, "--gamma", 3]
    assert call(monkeypatch, "validate", *options, *gammas, "--report", report, "--json") == 0
    validated = json.loads(capsys.readouterr().out)
    assert "<html" in report.read_text()[:500].lower()
    assert validated["same_prompts_as_profile"] is True
    keys = {
        "method",
        "parameters",
        "temperature",
        "tau",
        "speedup",
        "rounds",
        "error",
        "time_split",
    }
    for row in validated["settings"]:
        assert keys <= set(row)
        assert set(row["tau"]) == {"measured", "L0", "L1", "L2"}
        assert set(row["speedup"]) >= {"measured", "measured_low", "measured_high", "L2_low"}
        parts = row["error"]
        total = parts["log_tau"] + parts["log_round"] + parts["log_autoregressive"]
        assert total == pytest.approx(parts["log_speedup"], abs=1e-9)
        if row["temperature"] == 0:
            assert row["rounds"]["measured"] == row["rounds"]["L2"]
            for prompt in row["per_prompt"]:
                assert prompt["num_rounds"] == prompt["predicted_rounds"]
    assert set(validated["summary"]) >= {
        "median_abs_error", "p95_abs_error", "bias", "coverage_90", "time_explained",
    }  # fmt: skip
    assert validated["summary"]["time_explained"] > 0.95


def test_optimize_by_measuring_resumes_its_journal(
    tmp_path: Path, prompts: Path, monkeypatch, capsys
) -> None:
    options = pair_options(tmp_path, "llama", prompts, tmp_path)[:-2]
    journal = tmp_path / "search.journal"
    search = ["optimize", "--measure", journal, "--methods", "chain,lookup", *options, "--json"]
    assert call(monkeypatch, *search, "--trials", 3) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["best"] == first["ranking"][0] and first["best"]["close_to_best"]
    assert {row["method"] for row in first["ranking"]} <= {"chain", "lookup"}
    assert call(monkeypatch, *search, "--trials", 5) == 0
    more = json.loads(capsys.readouterr().out)
    tried = {(row["method"], str(row["parameters"])) for row in first["ranking"]}
    assert tried <= {(row["method"], str(row["parameters"])) for row in more["ranking"]}
    assert call(monkeypatch, *search, "--trials", 0) == 2
    assert "trials must be at least 1, not 0" in capsys.readouterr().err
    records, into = f"{journal}.records", tmp_path / "all"
    assert call(monkeypatch, "merge", records, "--into", into, "--json") == 0
    merged = json.loads(capsys.readouterr().out)
    assert merged["new"] == merged["records"] == len(more["ranking"])
    assert merged["ranking"] == more["ranking"]
    assert call(monkeypatch, *search, "--trials", 5, "--seed", 1) == 2
    assert "belongs to a search with another seed" in capsys.readouterr().err


def test_train_counts_an_ngram_that_loads(
    tmp_path: Path, prompts: Path, monkeypatch, capsys
) -> None:
    options = pair_options(tmp_path, "llama", prompts, tmp_path)[:6]
    out = tmp_path / "zoo"
    assert call(monkeypatch, "train", "ngram", *options, "--steps", 1, "--out", out, "--json") == 0
    folder = json.loads(capsys.readouterr().out)["ngram"]
    ngram = load_ngram(folder, load_model(str(options[3]), device="cpu"))
    assert ngram.card["temperature"] == 1.5 and ngram.card["tokens"] > 0


def test_bench_reports_every_ratio_and_every_methods_host_share(
    tmp_path: Path, prompts: Path, monkeypatch, capsys
) -> None:
    options = pair_options(tmp_path, "llama", prompts, tmp_path / "runs")[:-2]
    assert call(monkeypatch, "bench", *options, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["ratios"]) >= {
        "autoregressive_vs_generate", "chain_vs_assisted", "chain_vs_autoregressive",
        "best_vs_autoregressive", "staged_vs_chain", "lean_vs_transformers_1",
    }  # fmt: skip
    assert all(r["low"] <= r["median"] <= r["high"] for r in result["ratios"].values())
    shares = result["shares"]["host_by_method"]
    assert {"autoregressive", "chain γ 4", result["best"]["method"]} <= set(shares)
    assert all(0 < share < 1 for share in shares.values())
    assert result["shares"]["host"] == shares[f"chain γ {result['best']['chain']}"]


def test_transformers_is_measured_and_foretold_beside_this_engine(
    tmp_path: Path, prompts: Path, monkeypatch, capsys
) -> None:
    out = tmp_path / "runs"
    options = pair_options(tmp_path, "llama", prompts, out)
    compare = ["compare", *options, "--methods", "chain,lookup", "--gamma", 3, "--temperature", 0]
    state = ["--state", tmp_path / "state"]
    assert call(monkeypatch, *compare, *state, "--engine", "transformers", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    theirs = [r for r in result["methods"] if r["parameters"].get("engine") == "transformers"]
    assert [r["method"] for r in theirs] == ["autoregressive", "chain", "lookup", "lookup"]
    assert all(r["identical_texts"] == {"same": 3, "texts": 3} for r in theirs)
    by_method = {r["method"]: r for r in result["methods"] if r["parameters"] in (
        {"num_draft_tokens": 3}, {}
    )}  # fmt: skip
    assert [theirs[0]["tau"], theirs[1]["tau"]] == [
        by_method["autoregressive"]["tau"], by_method["chain"]["tau"]
    ]  # fmt: skip
    against = result["against"]["T0"]["transformers"]
    for name in ("autoregressive", "best"):
        assert 0 < against[name]["low"] <= against[name]["median"] <= against[name]["high"]
    assert "engine transformers" in against["best"]["theirs"]
    records = [record for _, record in scan(out).comparisons]
    assert {r.target.forward: len(r.methods) for r in records} == {
        "lean": len(result["methods"]) - 4, "transformers": 4,
    }  # fmt: skip
    assert call(monkeypatch, *compare, "--engine", "vllm") == 2
    assert "engine must be transformers, not 'vllm'" in capsys.readouterr().err

    assert call(monkeypatch, "profile", *options, "--blocks", 2, "--temperature", 0) == 0
    capsys.readouterr()
    validate = ["validate", *options, "--temperature", 0, "--gamma", 3, "--engine", "transformers"]
    assert call(monkeypatch, *validate, "--json") == 0
    foretold = json.loads(capsys.readouterr().out)
    (row,) = foretold["settings"]
    assert row["parameters"] == {"engine": "transformers", "num_draft_tokens": 3}
    assert row["rounds"]["measured"] == row["rounds"]["L2"]  # replayed: token for token
    assert row["tau"]["measured"] == theirs[1]["tau"] == pytest.approx(row["tau"]["L2"])
    assert {r["identical"] for r in foretold["identical_texts"]} == {3}
    parts = row["error"]
    total = parts["log_tau"] + parts["log_round"] + parts["log_autoregressive"]
    assert total == pytest.approx(parts["log_speedup"], abs=1e-9)
    assert foretold["summary"]["time_explained"] > 0.9
    assert foretold["target"]["forward"] == "transformers"
    assert call(monkeypatch, *validate, "--methods", "all") == 2
    assert "only chains can be foretold" in capsys.readouterr().err


def test_reproduce_measures_the_cache_and_keeps_a_study(
    tmp_path: Path, prompts: Path, monkeypatch, capsys
) -> None:
    options = pair_options(tmp_path, "gpt2", prompts, tmp_path / "runs")
    report = tmp_path / "report.html"
    reproduce = ["reproduce", "kv-cache", *options, "--quick", "--report", report]
    assert call(monkeypatch, *reproduce, "--json") == 0
    assert "Speed by length of the text" in report.read_text()
    study = json.loads(capsys.readouterr().out)
    (rows,) = study["tables"].values()
    assert [row["new_tokens"] for row in rows] == [24]
    assert rows[0]["same_text"] == 1 and rows[0]["speedup"] > 0 and rows[0]["pairs"] == 3
    ((path, saved),) = scan(tmp_path / "runs").studies
    assert str(path) == study["record"] and saved.name == "kv-cache"
    assert call(monkeypatch, "reproduce", "nothing", *options) == 2
    refusal = capsys.readouterr().err
    assert "subject must be one of kv-cache" in refusal and "not 'nothing'" in refusal


def test_transfer_answers_every_question_and_keeps_a_study(
    tmp_path: Path, prompts: Path, monkeypatch, capsys
) -> None:
    out = tmp_path / "runs"
    options = pair_options(tmp_path, "llama", prompts, out)
    others = tmp_path / "others.jsonl"
    others.write_text("\n".join(json.dumps({"prompt": text}) for text in ("def f(x):", "for a")))
    transfer = [
        "transfer",
        *options,
        "--held-out",
        others,
        "--blocks",
        1,
        "--gamma",
        2,
        "--new-tokens",
        8,
    ]
    small = {f"llama-{h}": {**SIZES["cpu"]["llama-3m"], "hidden_size": h} for h in (32, 64, 96)}
    monkeypatch.setitem(SIZES, "cpu", small)
    monkeypatch.setattr(transfer_results, "BOOTSTRAP", 5)
    assert call(monkeypatch, *transfer, "--json") == 0
    study = json.loads(capsys.readouterr().out)
    tables = study["tables"]
    assert {row["question"] for row in tables["summary"]} == {
        "sizes", "context", "batch", "prompts",
    }  # fmt: skip
    assert all(row["max_abs_error"] >= row["median_abs_error"] >= 0 for row in tables["summary"])
    stages = tables["stage times predicted"]
    for row in stages:
        assert row["error"] == pytest.approx(row["predicted_seconds"] / row["measured_seconds"] - 1)
    held_out = {(row["question"], row["held_out"]) for row in stages}
    assert held_out >= {("sizes", name) for name in small}
    assert {r["origin"] for r in stages if r["question"] != "sizes"} == {"extrapolated"}
    assert {r["origin"] for r in stages if r["held_out"] == "llama-64"} == {"modelled"}
    worst = max(
        abs(r["error"]) for r in stages if (r["question"], r["fit"]) == ("batch", "one rate")
    )
    said = {(r["question"], r["what"]): r["max_abs_error"] for r in tables["summary"]}
    assert said["batch", "stage time, one rate"] == pytest.approx(worst)
    for row in tables["prompts predicted"]:
        parts = row["log_tau"] + row["log_round"] + row["log_autoregressive"]
        assert math.expm1(parts) == pytest.approx(row["speedup_error"])
        mine = [r for r in tables["decodes"]
                if (r["sampling"], r["num_draft_tokens"]) == (row["sampling"], 2)]  # fmt: skip
        tokens, rounds = (sum(r[key] for r in mine) for key in ("num_tokens", "num_rounds"))
        assert row["tau_measured"] == pytest.approx(tokens / rounds)
        assert row["tau_error_standard_error"] >= 0
    ((path, saved),) = scan(out).studies
    assert str(path) == study["record"] and saved.complete and saved.name == "transfer"

    assert call(monkeypatch, *transfer, "--questions", "context") == 0
    shown = capsys.readouterr().out
    assert "IQR/median" in shown
    assert "stage time, attention apart" in shown and "prompts predicted" not in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--prompts and --held-out go together: give both or neither"),
        (["--held-out", "none.jsonl"], "no prompt file 'none.jsonl'"),
        (["--questions", "sizes,colour"], "questions must be of sizes, context, batch, prompts"),
        (["--blocks", "0"], "blocks must be at least 1, not 0"),
        (["--gamma", "0"], "draft tokens per round must be at least 1, not 0"),
    ],
)
def test_transfer_refuses_bad_input_in_one_line(
    arguments: list[str], message: str, tmp_path: Path, prompts: Path, monkeypatch, capsys
) -> None:
    out = tmp_path / "runs"
    options = pair_options(tmp_path, "llama", prompts, out)
    assert call(monkeypatch, "transfer", *options, *arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1
    assert captured.out == "" and not out.exists()


def test_compare_and_decode_answer_in_json(
    tmp_path: Path, prompts: Path, monkeypatch, capsys
) -> None:
    options = pair_options(tmp_path, "llama", prompts, tmp_path / "runs")[:-2]
    out = tmp_path / "saved"
    assert call(monkeypatch, "compare", *options, "--gamma", 2, "--out", out, "--json") == 0
    methods = json.loads(capsys.readouterr().out)["methods"]
    assert {m["method"] for m in methods} >= {"autoregressive", "chain", "tree"}
    assert {m["sampling"] for m in methods} == {"T0", "T1", "T1-k50"}
    for method in methods:
        assert method["lossless"] is True
        same = method["identical_texts"]
        promised = method["temperature"] == 0 or method["parameters"].get("rule") == "coupled"
        assert (same is not None) == promised
        assert same is None or same["same"] == same["texts"] == 3
        assert sum(method["provenance"].values()) == pytest.approx(1)
        assert sum(method["time_split"].values()) == pytest.approx(1, abs=1e-6)
    ((_, saved),) = scan(out).comparisons
    assert [(m.method, m.parameters) for m in saved.methods] == [
        (m["method"], m["parameters"]) for m in methods
    ]
    chain = next(m for m in methods if m["parameters"] == {"num_draft_tokens": 2})
    assert 0 < chain["draft_efficiency"] <= 1
    assert 1 <= chain["tau"] <= 3

    assert call(monkeypatch, "compare", *options, "--methods", "chain,bogus") == 2
    assert "method must be one of autoregressive, chain" in capsys.readouterr().err
    assert call(monkeypatch, "decode", *options, "--method", "chain", "--json") == 0
    chained = json.loads(capsys.readouterr().out)["generations"]
    assert call(monkeypatch, "decode", *options, "--method", "autoregressive", "--json") == 0
    alone = json.loads(capsys.readouterr().out)["generations"]
    assert [g["tokens"] for g in chained] == [g["tokens"] for g in alone]
    assert {p for g in alone for p in g["provenance"]} == {"target"}


def test_a_tree_given_by_its_parents_is_profiled_predicted_and_decoded(
    tmp_path: Path, prompts: Path, monkeypatch, capsys
) -> None:
    """The tree that was not profiled has the rounds that replay says, on every prompt."""
    out = tmp_path / "runs"
    options = [*pair_options(tmp_path, "llama", prompts, out), "--temperature", 0]
    tree, profiled = "-1,0,-1,0", "-1,-1,0,1"
    profile = ["profile", *options, "--blocks", 2, "--methods", "chain,tree", "--tree", profiled]
    assert call(monkeypatch, *profile, "--json") == 0
    settings = json.loads(capsys.readouterr().out)["methods"]
    assert {"method": "tree", "parameters": {"tree": profiled, "nodes": 4}} in settings

    assert call(monkeypatch, "optimize", "--out", out, "--json") == 0
    for found in json.loads(capsys.readouterr().out)["by_sampling"]:
        trees = found["trees"]
        assert trees["cost_error"] >= 0 and "up to 32 nodes" in trees["tried"]
        rows = [row for row in found["ranking"] if row["method"] == "tree"]
        assert any(row["parameters"]["tree"].startswith("-1,-1") for row in rows)
        assert rows[0] == trees["best_tree"]
        faster = trees["best_chain"]["speedup"]["L2"] >= rows[0]["speedup"]["L2"]
        assert trees["chain_wins"] == faster

    validate = ["validate", *options, "--tree", tree, "--json"]
    assert call(monkeypatch, *validate) == 0
    rows = json.loads(capsys.readouterr().out)["settings"]
    (row,) = (row for row in rows if row["method"] == "tree")
    assert row["parameters"] == {"tree": "-1,-1,0,0", "nodes": 4}
    assert [p["predicted_rounds"] for p in row["per_prompt"]] == [
        p["num_rounds"] for p in row["per_prompt"]
    ]

    for command in ("decode", "compare"):
        assert (
            call(monkeypatch, command, *options[:-4], "--temperature", 0, "--tree", "-1,oak") == 2
        )
        assert "like -1,-1,0, not '-1,oak'" in capsys.readouterr().err
    assert call(monkeypatch, "decode", *options[:-4], "--temperature", 0, "--tree", "-1,2") == 2
    assert "tree node 1 hangs off node 2" in capsys.readouterr().err
    assert (
        call(monkeypatch, "decode", *options[:-4], "--temperature", 0, "--tree", tree, "--json")
        == 0
    )
    (shown,) = json.loads(capsys.readouterr().out)["generations"]
    assert shown["parameters"]["nodes"] == 4


def test_decode_shows_prompt_and_legend(tmp_path: Path, prompts: Path, monkeypatch, capsys) -> None:
    options = pair_options(tmp_path, "llama", prompts, tmp_path / "runs")[:-2]
    assert call(monkeypatch, "decode", *options) == 0
    shown = capsys.readouterr().out
    assert "def add(first, second):" in shown
    assert "tokens/s" in shown
    assert "a kept draft" in shown


REFUSALS = [
    (["--target", "/nowhere/a", "--draft", "/nowhere/b"], "no model '/nowhere/a'"),
    (["--target", "python-13m"], "--target and --draft go together"),
    (["--temperature", "-0.5"], "temperature must be finite and >= 0, not -0.5"),
    (["--top-p", "0"], "top-p must be in (0, 1], not 0"),
    (["--top-p", "1.2"], "top-p must be in (0, 1], not 1.2"),
    (["--top-k", "0"], "top-k must be at least 1, not 0"),
    (["--dtype", "int8"], "dtype must be one of"),
    (["--device", "abacus"], "device must be auto, cpu or cuda, not 'abacus'"),
    (["--prompts", "none.jsonl"], "no prompt file 'none.jsonl'"),
    (["--num-prompts", "0"], "number of prompts must be at least 1, not 0"),
    (["--new-tokens", "0"], "new tokens must be at least 1, not 0"),
    (["--new-tokens", "250"], "exceeds the context of 256 tokens"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSALS, ids=lambda v: " ".join(v)[:40])
def test_bad_input_gives_one_line_and_exit_2_and_writes_nothing(
    arguments: list[str], message: str, tmp_path: Path, prompts: Path, monkeypatch, capsys
) -> None:
    out = tmp_path / "runs"
    options = pair_options(tmp_path, "llama", prompts, out)
    if "--target" in arguments:
        options = options[4:]
    assert call(monkeypatch, "profile", *options, *arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not out.exists()


def test_bad_gammas_are_refused_everywhere(tmp_path: Path, monkeypatch, capsys) -> None:
    for command in ("predict", "validate", "compare"):
        assert call(monkeypatch, command, "--gamma", 0) == 2
        assert "draft tokens per round must be at least 1, not 0" in capsys.readouterr().err
    assert call(monkeypatch, "decode", "--gamma", 0) == 2
    assert "draft tokens per round must be at least 1, not 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "holds no prompts"), ('{"prompt": "a"}\n{"prompt"', "line 2 is not JSON")],
)
def test_bad_prompt_files_are_refused(
    content, message, tmp_path, prompts, monkeypatch, capsys
) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "runs"
    options = pair_options(tmp_path, "llama", prompts, out)
    prompts.write_text(content)
    assert call(monkeypatch, "profile", *options) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_unequal_tokenizers_are_refused(tmp_path: Path, prompts: Path, monkeypatch, capsys) -> None:
    out = tmp_path / "runs"
    options = pair_options(tmp_path, "llama", prompts, out)
    other = tmp_path / "other"
    tiny_llama(vocab=100).save_pretrained(other)
    tiny_tokenizer().save_pretrained(other)
    options[3] = other
    assert call(monkeypatch, "profile", *options) == 2
    assert "has a vocabulary of 100 tokens" in capsys.readouterr().err
    assert not out.exists()


def test_an_interrupted_profile_keeps_what_was_measured_and_resumes(
    tmp_path: Path, prompts: Path, monkeypatch, capsys
) -> None:
    out = tmp_path / "runs"
    options = ["profile", *pair_options(tmp_path, "llama", prompts, out), "--blocks", 2]
    real, traced = profiler_run.trace_prompt, []

    def stop_at_the_third(*arguments, **keywords):  # type: ignore[no-untyped-def]
        if len(traced) == 2:
            raise KeyboardInterrupt
        traced.append(arguments[-1])
        return real(*arguments, **keywords)

    monkeypatch.setattr(profiler_run, "trace_prompt", stop_at_the_third)
    assert call(monkeypatch, *options) == 130
    assert "the same command resumes" in capsys.readouterr().err
    [(path, record)] = scan(out).profiles
    assert not record.complete
    kept = load_profile(path)
    assert {k: list(t["prompt"].unique()) for k, t in kept.traces.items()} == {"T0": [0], "T1": [0]}
    assert len(kept.stages) > 0
    assert call(monkeypatch, "predict", "--out", out) == 2
    assert "no complete profile" in capsys.readouterr().err

    again = []
    monkeypatch.setattr(
        profiler_run, "trace_prompt", lambda *a, **k: again.append(a[-1]) or real(*a, **k)
    )
    assert call(monkeypatch, *options) == 0
    assert again == [1, 1, 2, 2]  # two prompts at T0 and at T1
    [(path, record)] = scan(out).profiles
    assert record.complete
    resumed = load_profile(path)
    assert resumed.record.id == kept.record.id
    assert len(resumed.stages) > len(kept.stages)
    assert resumed.stages.head(len(kept.stages)).equals(kept.stages)
    per_block = resumed.stages.groupby(["mode", "repeat"]).size()
    assert per_block.nunique() == 1  # no block twice
    assert resumed.traces["T0"].head(24).equals(kept.traces["T0"].head(24))


def test_a_profile_of_methods_keeps_windows_and_rounds_and_resumes(
    tmp_path: Path, prompts: Path, monkeypatch, capsys
) -> None:
    out = tmp_path / "runs"
    pair = pair_options(tmp_path, "llama", prompts, out)
    options = ["profile", *pair, "--blocks", 2, "--methods", "chain, lookup", "--json"]
    real, asked = profiler_run.prompt_windows, []

    def stop_at_the_third(*arguments):  # type: ignore[no-untyped-def]
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(arguments[-1])
        return real(*arguments)

    monkeypatch.setattr(profiler_run, "prompt_windows", stop_at_the_third)
    assert call(monkeypatch, *options) == 130
    [(path, _)] = scan(out).profiles
    kept = load_profile(path)
    assert kept.windows is not None and kept.windows["prompt"].unique().tolist() == [0]
    monkeypatch.setattr(profiler_run, "prompt_windows", lambda *a: asked.append(a[-1]) or real(*a))
    capsys.readouterr()
    assert call(monkeypatch, *options) == 0
    said = json.loads(capsys.readouterr().out)
    assert asked == [0, 0, *(p for p in range(1, len(PROMPTS)) for _ in range(2))]
    profile = load_profile(path)
    assert said["record"] == str(path) and profile.record.complete
    assert profile.windows is not None and profile.rounds is not None
    assert profile.windows.head(len(kept.windows)).equals(kept.windows)
    assert {m["method"] for m in said["methods"]} == {"chain", "lookup"}
    assert {"method": "chain", "parameters": {"num_draft_tokens": 4}} in said["methods"]
    per_text = profile.windows.groupby(["method", "parameters", "sampling", "prompt"]).size()
    assert (per_text == 24).all()
    assert len(per_text) == len(said["methods"]) * 2 * len(PROMPTS)
    assert set(profile.rounds["method"]) == {"autoregressive", "chain", "lookup"}
    assert set(profile.rounds["mode"]) == {"greedy", "sampled"}
    blocks = profile.rounds.groupby(["method", "parameters", "mode"])["block"].nunique()
    assert blocks.nunique() == 1  # every method in every block


def test_an_unknown_method_is_refused_before_anything_is_measured(
    tmp_path: Path, prompts: Path, monkeypatch, capsys
) -> None:
    out = tmp_path / "runs"
    options = pair_options(tmp_path, "llama", prompts, out)
    assert call(monkeypatch, "profile", *options, "--methods", "chain,bogus") == 2
    assert "method must be one of autoregressive, chain" in capsys.readouterr().err
    assert not out.exists()


def test_broken_records_are_named_and_others_stay_usable(
    tmp_path: Path, prompts: Path, monkeypatch, capsys
) -> None:
    out = tmp_path / "runs"
    options = pair_options(tmp_path, "llama", prompts, out)
    assert call(monkeypatch, "profile", *options, "--blocks", 2) == 0
    good = scan(out).profiles[0][0]
    truncated = good.with_name(good.name.replace("profile-float32-2", "profile-float32-3"))
    truncated.write_text(good.read_text()[:300])
    foreign = good.parent / "foreign.json"
    foreign.write_text('{"hello": 1}')
    capsys.readouterr()
    for path in (truncated, foreign):
        assert call(monkeypatch, "predict", "--profile", path) == 2
        error = capsys.readouterr().err
        assert str(path) in error
        assert error.count("\n") == 1
    assert call(monkeypatch, "predict", "--out", out) == 0
    good.with_name(good.name.replace(".json", ".stages.parquet")).write_bytes(b"junk")
    capsys.readouterr()
    assert call(monkeypatch, "predict", "--out", out) == 2
    assert "no complete profile" in capsys.readouterr().err
