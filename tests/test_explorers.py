"""Explorers send the numbers that the model's own functions compute, and leave a picture and words behind."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from einops import rearrange
from matplotlib.figure import Figure
from nbconvert import HTMLExporter

from coursekit.widgets import explorer
from step2_model import explorers, model_solution
from step2_model.experiments import ablation
from step2_model.explorers.depths import depths_of
from step2_model.explorers.heads import heads
from step2_model.explorers.inside import name_of, tokens_of

TEXT = "def f(self, name):"
ALL = {"attention": explorers.attention, "stream": explorers.stream, "surprise": explorers.surprise}


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    config = model_solution.GPTConfig(256, 32, n_layer=2, n_head=4, n_embd=16)
    return ablation.start_large(model_solution.GPT(config)).eval()


@pytest.fixture(scope="module", params=ALL)
def shown(request: Any, model: Any) -> Any:
    return ALL[request.param](model_solution, model, TEXT)


def arrays_of(widget: Any) -> dict[str, torch.Tensor]:
    return {
        name: torch.from_numpy(np.frombuffer(a["data"], "<f4").reshape(a["shape"]).copy())
        for name, a in widget.arrays.items()
    }


class Images(HTMLParser):
    """Collects the attributes of every image of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.found.append(dict(attrs))


def test_attention_weights_sum_to_one_hide_the_future_and_give_the_models_own_output(model: Any) -> None:
    found = arrays_of(explorers.attention(model_solution, model, TEXT))
    T = len(TEXT)
    torch.testing.assert_close(found["weights"].sum(dim=-1), torch.ones(8, T))
    assert torch.equal(found["hidden"], torch.ones(T, T).triu(1).expand(8, T, T))
    assert found["weights"][found["hidden"] > 0].max() == 0
    torch.testing.assert_close(found["weights"] @ found["values"], found["mixture"])
    ids = torch.tensor([list(TEXT.encode())])
    block = model.h[0]
    heads_side_by_side = rearrange(found["mixture"][:4], "H T D -> T (H D)")
    with torch.no_grad():
        wanted = block.attn(block.ln_1(model.embed(ids)))[0]
        torch.testing.assert_close(block.attn.c_proj(heads_side_by_side), wanted)


def test_the_stream_is_the_models_own_at_every_depth_and_ends_in_its_logits(model: Any) -> None:
    found = arrays_of(explorers.stream(model_solution, model, TEXT))
    ids = torch.tensor([list(TEXT.encode())])
    with torch.no_grad():
        x = model.embed(ids)
        torch.testing.assert_close(found["stream"][0], x[0])
        for i, block in enumerate(model.h):
            middle = x + block.attn(block.ln_1(x))
            x = block(x)
            torch.testing.assert_close(found["stream"][2 * i + 1], middle[0])
            torch.testing.assert_close(found["stream"][2 * i + 2], x[0])
        torch.testing.assert_close(found["logits"][-1], model(ids).logits[0])
    assert not torch.allclose(found["logits"][0], found["logits"][-1], atol=0.1)


def test_the_surprises_are_those_whose_mean_is_the_models_loss(model: Any) -> None:
    found = arrays_of(explorers.surprise(model_solution, model, TEXT))
    ids = torch.tensor([list(TEXT.encode())])
    torch.testing.assert_close(found["losses"].mean(), model(ids, labels=ids).loss.detach())
    law = found["logits"].log_softmax(dim=-1)
    torch.testing.assert_close(found["losses"], -law.gather(1, ids[0, 1:, None])[:, 0])


def test_the_numbers_are_those_of_the_module_that_is_handed_in(model: Any) -> None:
    def plain(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return q @ k.transpose(-2, -1)

    def halved(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return model_solution.next_token_loss(logits, labels) / 2

    parts = {"attention_scores": plain, "next_token_loss": halved}
    parts["apply_causal_mask"] = lambda scores: scores  # type: ignore[assignment]
    other = ablation.reference_with(parts)
    theirs, ours = (arrays_of(explorers.attention(m, model, TEXT)) for m in (other, model_solution))
    torch.testing.assert_close(theirs["scores"][:4], 2 * ours["scores"][:4])  # D = 4
    assert theirs["hidden"].sum() == 0
    halves, wholes = (arrays_of(explorers.surprise(m, model, TEXT)) for m in (other, model_solution))
    torch.testing.assert_close(halves["losses"], wholes["losses"] / 2)


def test_every_explorer_says_whose_code_computed_it(shown: Any, model: Any) -> None:
    assert shown.whose == "Computed by the reference."
    assert shown.whose in repr(shown)


def test_where_no_widget_can_live_there_is_a_picture_with_words_and_the_words_alone(shown: Any) -> None:
    data, _ = shown._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"].startswith("[explorer: ")
    (image,) = Images(data["text/html"]).found
    assert image["src"] == f"data:image/png;base64,{data['image/png']}"
    assert image["alt"] == f"{shown.says} {shown.whose}"
    assert len(data["image/png"]) < 100_000


def test_where_widgets_are_switched_off_the_picture_is_shown_alone(
    shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSE_WIDGETS", "off")
    data, _ = shown._repr_mimebundle_()
    assert sorted(data) == ["image/png", "text/html", "text/plain"]


def test_a_page_exported_without_widgets_shows_the_picture_with_its_words(shown: Any) -> None:
    data, metadata = shown._repr_mimebundle_()
    output = nbformat.v4.new_output("display_data", data, metadata=metadata)
    cell = nbformat.v4.new_code_cell("explorer", outputs=[output])
    cell["id"] = "an-explorer"
    exporter = HTMLExporter()
    page, _ = exporter.from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    pictures = [
        image for image in Images(page).found if (image.get("src") or "").startswith("data:image/png")
    ]
    assert [image["alt"] for image in pictures] == [f"{shown.says} {shown.whose}"]


def test_the_page_asks_nothing_of_the_kernel_and_nothing_of_the_network(shown: Any) -> None:
    program = shown._esm.replace("http://www.w3.org/2000/svg", "")
    for word in ("save_changes", ".send(", "http", "import "):
        assert word not in program, word
    for word in ("http", "@import", "url("):
        assert word not in shown._css, word


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"text must have 2 to 24 tokens to fit on the page, got 0"),
        ("x", r"text must have 2 to 24 tokens to fit on the page, got 1"),
        ("x" * 25, r"text must have 2 to 24 tokens to fit on the page, got 25"),
        ([1, 2, 256], r"ids must lie between 0 and 255, got 1 to 256"),
        ([-1, 2], r"ids must lie between 0 and 255, got -1 to 2"),
    ],
)
def test_a_text_that_cannot_be_shown_is_refused_in_a_sentence(
    name: str, text: Any, sentence: str, model: Any
) -> None:
    with pytest.raises(ValueError, match=sentence):
        ALL[name](model_solution, model, text)


@pytest.mark.parametrize("name", ALL)
def test_what_is_no_model_of_this_step_is_refused_in_a_sentence(name: str, model: Any) -> None:
    for wrong, kind in ((torch.nn.Linear(2, 2), "Linear"), (None, "NoneType"), ((model, 1), "tuple")):
        with pytest.raises(ValueError, match=f"must be a trained GPT of this step, .* got {kind}"):
            ALL[name](model_solution, wrong, TEXT)


def test_weights_that_do_not_fit_the_modules_model_are_refused_in_a_sentence(model: Any) -> None:
    class Narrow(model_solution.MLP):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.c_fc = torch.nn.Linear(config.n_embd, 8)

    with pytest.raises(ValueError, match=r"weights of model must fit mine\.GPT, got another shape: .*c_fc"):
        explorers.stream(ablation.reference_with({"MLP": Narrow}), model, TEXT)


def test_a_position_outside_the_text_or_before_nothing_is_refused_in_a_sentence(model: Any) -> None:
    with pytest.raises(ValueError, match="query must be a position of the text, -18 to 17, got 18"):
        explorers.attention(model_solution, model, TEXT, query=18)
    with pytest.raises(ValueError, match="position must be one of the text, -18 to 17, got -19"):
        explorers.stream(model_solution, model, TEXT, position=-19)
    for last in (-1, 17, 18, -19):
        with pytest.raises(ValueError, match=f"position must have a token after it, 0 to 16, got {last}"):
            explorers.surprise(model_solution, model, TEXT, position=last)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("text", ["ab", "x" * 24, "é\n\t $^$x\\'\"<b>", [0, 255, 10]])
def test_the_shortest_the_longest_and_the_strangest_text_are_shown(name: str, text: Any, model: Any) -> None:
    shown = ALL[name](model_solution, model, text)
    assert base64.b64decode(shown._repr_mimebundle_()[0]["image/png"]).startswith(b"\x89PNG")


def test_ids_of_a_model_without_bytes_are_shown_as_letters_and_a_string_is_refused() -> None:
    torch.manual_seed(0)
    small = model_solution.GPT(model_solution.GPTConfig(8, 24, n_layer=1, n_head=2, n_embd=8))
    shown = explorers.stream(model_solution, small, torch.tensor([[0, 7, 3]]))
    assert shown.values["tokens"] == ["a", "h", "d"]
    with pytest.raises(ValueError, match=r"a string needs a model of bytes \(vocab_size 256\), got 8"):
        explorers.stream(model_solution, small, "ab")


def test_bytes_are_named_so_that_people_can_read_them() -> None:
    assert [name_of(byte, 256) for byte in b"a \n\t\x00\x7f\xc3"] == [
        "a",
        "␣",
        "↵",
        "⇥",
        "00",
        "7f",
        "c3",
    ]
    assert len({name_of(i, 256) for i in range(256)}) == 256
    assert name_of(300, 1000) == "300"


def test_looking_inside_leaves_no_hook_and_no_training_mode_behind(model: Any) -> None:
    before = [len(module._forward_hooks) for module in model.modules()]
    ids, _, _ = tokens_of(TEXT, model)
    heads(model_solution, model, ids)
    depths_of(model, ids)
    assert [len(module._forward_hooks) for module in model.modules()] == before
    assert not any(p.grad is not None for p in model.parameters())


def test_more_numbers_than_a_page_should_load_are_refused_with_a_way_out(tmp_path: Path) -> None:
    program = tmp_path / "nothing.js"
    program.write_text("", encoding="utf-8")
    program.with_suffix(".css").write_text("", encoding="utf-8")
    arrays = {"x": torch.zeros(1_000_001)}
    with pytest.raises(ValueError, match="at most 1,000,000 numbers to the page, got 1,000,001: take a"):
        explorer.Explorer(program, {}, arrays, whose="", says="", picture=Figure)


def test_numbers_arrive_as_they_were_infinities_and_nan_included() -> None:
    for given in ([[1, 2], [3, 4]], torch.tensor([1.5, -torch.inf, torch.nan]), np.arange(3)[::-1]):
        sent = explorer.as_float32(given)
        assert sent.dtype == np.dtype("<f4")
        np.testing.assert_array_equal(sent, np.asarray(given, dtype=np.float32))


def test_explorers_of_different_kinds_keep_their_looks_apart_on_one_page(model: Any) -> None:
    names = {show(model_solution, model, TEXT)._anywidget_id for show in ALL.values()}
    assert len(names) == len(ALL)
