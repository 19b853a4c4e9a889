"""Models go to `transformers` and come from it: four families; one sentence says what cannot."""

from __future__ import annotations

import dataclasses
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError, RemoteEntryNotFoundError
from safetensors.torch import load_file, save_file

from coursekit.registry import COURSE_ROOT
from step1_tokenizer.model_solution import Tokenizer
from step1_tokenizer.published import NotThere
from step2_model import further_solution, model_solution
from step2_model.exchange import compare, export, load
from step2_model.exchange.configs import read_config
from step2_model.exchange.greedy import continued
from step2_model.exchange.hub import folder_of
from step2_model.exchange.models import new_model, trained_model
from step2_model.model_solution import GPTConfig, ModelArgs, ModelConfigs, YarnScaling
from step2_model.parity import families, measuring

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
SMALL = {"d_model": 24, "n_layers": 2, "n_heads": 4, "vocab_size": 61, "max_seq_len": 64}
SMALL |= {"intermediate_size": 40, "kv_lora_rank": 10, "v_head_dim": 5}
SMALL |= {"qk_rope_head_dim": 6, "qk_nope_head_dim": 7}
EXPERTS = {"n_experts": 8, "n_experts_per_tok": 2, "moe_intermediate_size": 12}
YARN = YarnScaling(factor=4.0, original_max_seq_len=16, mscale=0.7, mscale_all_dim=0.9)
GROUPED = {"attention": "gqa", "n_kv_heads": 2}
LATENT = {"attention": "mla", "n_kv_heads": 4}
# What can be exported, and the class that opens it.
ARGS = {
    "llama": (ModelArgs(**SMALL, **GROUPED, norm_eps=1e-5), "LlamaForCausalLM"),
    "llama tied": (ModelArgs(**SMALL, **GROUPED, tie_embeddings=True), "LlamaForCausalLM"),
    "llama stretched": (ModelArgs(**SMALL, **GROUPED, yarn=YARN), "LlamaForCausalLM"),
    "mixtral": (ModelArgs(**SMALL, **GROUPED, **EXPERTS), "MixtralForCausalLM"),
    "deepseek dense": (ModelArgs(**SMALL, **LATENT), "DeepseekV3ForCausalLM"),
    "deepseek dense tied": (ModelArgs(**SMALL, **LATENT, tie_embeddings=True), "DeepseekV3ForCausalLM"),
    "deepseek": (
        ModelArgs(
            **SMALL, **LATENT, **EXPERTS, q_lora_rank=9, yarn=YARN, router="sigmoid", n_dense_layers=1,
            n_shared_experts=1, n_groups=2, routed_scaling_factor=1.5,
        ),
        "DeepseekV3ForCausalLM",
    ),
    "tiny": (ModelConfigs.tiny(), "DeepseekV3ForCausalLM"),
    "tiny_moe": (ModelConfigs.tiny_moe(), "DeepseekV3ForCausalLM"),
    "tiny_long": (ModelConfigs.tiny_long(), "DeepseekV3ForCausalLM"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    yield
    logging.disable(before)


def model_of(args: Any) -> Any:
    needs_more = args.q_lora_rank or args.yarn or args.n_experts
    kind = further_solution.FullTransformer if needs_more else model_solution.Transformer
    return families.redraw(kind(args))


def gpt() -> Any:
    return families.redraw(model_solution.GPT(GPTConfig(61, 64, n_layer=2, n_head=4, n_embd=24)))


def opened(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype="auto").eval()


def some_ids(model: Any, length: int = 20) -> torch.Tensor:
    size = model.args.vocab_size if hasattr(model, "args") else model.config.vocab_size
    return torch.randint(size, (2, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ARGS)
def test_what_is_exported_opens_in_the_library_and_comes_back(name: str, tmp_path: Path) -> None:
    args, kind = ARGS[name]
    model = model_of(args)
    theirs = opened(export(model, tmp_path))
    assert type(theirs).__name__ == kind
    ids = some_ids(model)
    assert compare(model, theirs, ids).first is None
    row = ids[0].tolist()
    assert list(continued(model, row, measuring.NEW)) == measuring.generated(theirs, row)
    again, tokenizer = load(tmp_path)
    assert tokenizer is None
    assert type(again) is type(model)
    assert equal_states(again, model)
    own = dataclasses.asdict(args)
    assert {k for k, v in dataclasses.asdict(again.args).items() if v != own[k]} <= NOT_KEPT[kind]


# What a class of the library has no field for, because it does not matter there.
LATENT_FIELDS = {"kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"}
NOT_KEPT = {
    "LlamaForCausalLM": LATENT_FIELDS,
    "MixtralForCausalLM": LATENT_FIELDS | {"intermediate_size"},
    "DeepseekV3ForCausalLM": set(),
}


def equal_states(one: Any, other: Any) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_a_gpt_goes_out_and_comes_back(tmp_path: Path) -> None:
    model = gpt()
    theirs = opened(export(model, tmp_path))
    assert type(theirs).__name__ == "GPT2LMHeadModel"
    assert compare(model, theirs, some_ids(model)).first is None
    assert equal_states(load(tmp_path)[0], model)


def test_a_tied_head_is_stored_once(tmp_path: Path) -> None:
    export(model_of(ARGS["tiny"][0]), tmp_path)
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")


def test_bfloat16_goes_out_and_comes_back_as_it_is(tmp_path: Path) -> None:
    export(model_of(ARGS["deepseek"][0]).to(torch.bfloat16), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))["dtype"] == "bfloat16"
    assert opened(tmp_path).dtype == torch.bfloat16
    model, _ = load(tmp_path, torch.bfloat16)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert {b.dtype for b in model.buffers()} == {torch.float32}


REFUSED = [
    ("router", ModelArgs(**SMALL, **GROUPED, **EXPERTS, router="sigmoid")),
    ("router", ModelArgs(**SMALL, **LATENT, **EXPERTS)),
    ("n_dense_layers", ModelArgs(**SMALL, **GROUPED, **EXPERTS, n_dense_layers=1)),
    ("n_shared_experts", ModelArgs(**SMALL, **GROUPED, **EXPERTS, n_shared_experts=1)),
    ("norm_eps", ModelArgs(**SMALL, **LATENT, norm_eps=1e-5)),
    ("n_experts", ModelArgs(**SMALL, **LATENT, **EXPERTS, router="sigmoid", n_groups=8, topk_groups=8)),
    ("qk_rope_head_dim", ModelArgs(**(SMALL | {"qk_rope_head_dim": 0}), **LATENT)),
]


@pytest.mark.parametrize(("field", "args"), REFUSED)
def test_what_no_class_computes_is_refused_by_name(field: str, args: ModelArgs, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{field} .*must be .* to be exchanged, got "):
        export(model_of(args), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("family", "change", "field"),
    [
        ("Llama", {"attention_bias": True}, "attention_bias"),
        ("Llama", {"head_dim": 16}, "head_dim"),
        ("Llama", {"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}}, "rope_type"),
        ("Mixtral", {"sliding_window": 8}, "sliding_window"),
        ("DeepSeek-V3, whole", {"norm_topk_prob": False}, "norm_topk_prob"),
        ("DeepSeek-V3, whole", {"rms_norm_eps": 1e-5}, "rms_norm_eps"),
        ("GPT-2", {"activation_function": "gelu"}, "activation_function"),
        ("GPT-2", {"model_type": "bert"}, "model_type"),
    ],
)
def test_what_we_do_not_compute_is_refused_by_name(
    family: str, change: dict[str, Any], field: str, tmp_path: Path
) -> None:
    families.saved(family, tmp_path, torch.float32)
    path = tmp_path / "config.json"
    read_config(json.loads(path.read_text(encoding="utf-8")))
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(ValueError, match=f"^{field} must be "):
        load(tmp_path)


def test_rope_in_the_style_of_older_configurations_is_read() -> None:
    old = {"model_type": "llama", "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
    old |= {"intermediate_size": 40, "vocab_size": 61, "max_position_embeddings": 64, "rms_norm_eps": 1e-5}
    _, found = read_config(old | {"rope_theta": 500.0})
    assert (found["rope_theta"], found["n_kv_heads"], "yarn" in found) == (500.0, 4, False)
    yarn = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "mscale": 1.0}
    _, found = read_config(old | {"rope_theta": 500.0, "rope_scaling": yarn})
    assert found["yarn"] == {"factor": 4.0, "original_max_seq_len": 16, "mscale": 1.0}


def test_neighbors_and_halves_are_told_apart(tmp_path: Path) -> None:
    """The weights of a folder whose pairs are neighbors, read as if they were halves, are another model's."""
    theirs = families.saved("DeepSeek-V3, whole", tmp_path, torch.float32)
    ids = torch.arange(20)[None]
    assert compare(load(tmp_path)[0], theirs, ids).logits < 1e-4
    path = tmp_path / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {"rope_interleave": False}), encoding="utf-8")
    assert compare(load(tmp_path)[0], theirs, ids).logits > 0.1


def test_weights_in_several_files_are_read(tmp_path: Path) -> None:
    theirs = families.saved("Mixtral", tmp_path, torch.float32)
    theirs.save_pretrained(tmp_path / "shards", max_shard_size="30KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    assert equal_states(load(tmp_path / "shards")[0], load(tmp_path)[0])


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda w: w.pop("model.norm.weight"), "the weights must hold norm.weight, got none of that name"),
        (lambda w: w.update(odd=torch.ones(1)), "got odd, which has no place in it"),
        (lambda w: w.update({"model.norm.weight": torch.ones(3)}), "norm.weight must have shape"),
        (
            lambda w: w.pop("model.layers.0.block_sparse_moe.experts.1.w3.weight"),
            "must hold 1.w3, got no such weight",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(spoil: Any, rule: str, tmp_path: Path) -> None:
    families.saved("Mixtral", tmp_path, torch.float32)
    weights = load_file(tmp_path / "model.safetensors")
    spoil(weights)
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=rule):
        load(tmp_path)


def test_a_cut_off_file_is_told(tmp_path: Path) -> None:
    families.saved("Llama", tmp_path, torch.float32)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="must be a whole safetensors file"):
        load(tmp_path)


def test_the_first_part_that_differs_is_named() -> None:
    theirs = families.redraw(families.llama())
    args = read_config(theirs.config.to_dict())[1]
    model = model_solution.Transformer(ModelArgs(**args))
    model.load_state_dict({k.removeprefix("model."): v for k, v in theirs.state_dict().items()})
    ids = torch.arange(12)[None]
    assert str(compare(model.eval(), theirs, ids)).startswith("All ")
    with torch.no_grad():
        model.layers[1].mlp.up_proj.weight[0] += 1
    found = compare(model, theirs, ids)
    assert found.first == "layers.1.mlp.up_proj"
    assert "is the first part that differs" in str(found)
    with torch.no_grad():
        model.embed_tokens.weight += 1
    assert compare(model, theirs, ids).first == "embed_tokens"
    assert "nothing comes before it" in str(compare(model, theirs, ids))


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer([(104, 101), (32, 256)], ["<|endoftext|>"])


def test_a_tokenizer_goes_with_its_model(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = model_of(dataclasses.replace(ARGS["llama"][0], vocab_size=300))
    export(model, tmp_path, tokenizer)
    again = load(tmp_path)[1]
    assert isinstance(again, Tokenizer)
    assert again.encode_ordinary("he he") == tokenizer.encode_ordinary("he he") == [256, 257]
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config["eos_token_id"] == 258
    from transformers import AutoTokenizer

    assert AutoTokenizer.from_pretrained(tmp_path).encode("he he") == [256, 257]


def test_a_tokenizer_too_large_for_its_model_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no more tokens than its model, got 259 and 61"):
        export(model_of(ARGS["llama"][0]), tmp_path, tokenizer)


def test_a_vocabulary_of_another_kind_is_the_librarys(tmp_path: Path) -> None:
    from tokenizers import Tokenizer as Library
    from tokenizers.models import WordLevel

    families.saved("Llama", tmp_path, torch.float32)
    Library(WordLevel({"a": 0, "b": 1}, unk_token="a")).save(str(tmp_path / "tokenizer.json"))
    found = load(tmp_path)[1]
    assert not isinstance(found, Tokenizer)
    assert found.encode("b") == [1]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tokenizer: Tokenizer) -> Path:
    """A hub that has a GPT-2 as it was published: names without a prefix, buffers, vocab.json, merges.txt."""
    folder = tmp_path / "published"
    families.saved("GPT-2", folder, torch.float32)
    weights = load_file(folder / "model.safetensors")
    plain = {name.removeprefix("transformer."): weight for name, weight in weights.items()}
    plain |= {f"h.{i}.attn.bias": torch.ones(1, 1, 4, 4) for i in range(3)}
    save_file(plain, folder / "model.safetensors")

    def download(repository: str, file: str) -> Path:
        if repository == "away":
            raise LocalEntryNotFoundError("no network")
        if repository != "gpt2" or not (folder / file).is_file():
            response = httpx.Response(404, request=httpx.Request("GET", "https://hub/"))
            raise RemoteEntryNotFoundError(file, response=response)
        return folder / file

    monkeypatch.setattr("step2_model.exchange.hub.download", download)
    return folder


def test_gpt2_as_it_was_published_is_read_from_the_hub(hub: Path) -> None:
    theirs = families.redraw(families.gpt2())
    model, _ = load("gpt2")
    assert compare(model, theirs, torch.arange(20)[None]).first is None
    assert folder_of("hub:gpt2") == hub


@pytest.mark.parametrize("name", ["away", "nobody/nothing"])
def test_without_the_hub_it_is_one_sentence(hub: Path, name: str) -> None:
    with pytest.raises(NotThere, match=f"^{name} is no folder on this machine, and the hub could not be"):
        load(name)


def course(module: str, *arguments: str, status: int = 0) -> str:
    command = [sys.executable, "-W", "error", "-m", f"step2_model.exchange.{module}", *arguments]
    done = subprocess.run(command, cwd=COURSE_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if status == 0 else done.stderr


def test_what_was_exported_is_loaded_in_a_shell(tmp_path: Path) -> None:
    export(new_model("tiny", seed=0, solution=True), tmp_path / "out")
    told = course(
        "load_command",
        str(tmp_path / "out"),
        "--ids",
        "1",
        "2",
        "3",
        "--tokens",
        "5",
        "--solution",
        "--compare",
    )
    size = further_solution.transformer_parameters(ModelConfigs.tiny())
    assert f"Transformer with {size:,} parameters" in told
    assert "Computed by the reference." in told
    assert "[1, 2, 3] -> [" in told
    assert "parts agree" in told
    assert "transformers writes the same tokens." in told


def test_a_run_of_ours_is_exported_with_its_weights(tmp_path: Path) -> None:
    model = gpt()
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(json.dumps(dataclasses.asdict(model.config)), encoding="utf-8")
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, run / "model.safetensors")
    export(trained_model(run, solution=True), tmp_path / "out")
    assert equal_states(load(tmp_path / "out")[0], model)


@pytest.mark.parametrize(
    ("module", "arguments", "rule", "status"),
    [
        ("load_command", ["/not/there"], "must be a folder or a name such as gpt2", 1),
        ("load_command", [], "the following arguments are required: name", 2),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    module: str, arguments: list[str], rule: str, status: int
) -> None:
    assert rule in course(module, *arguments, status=status)
