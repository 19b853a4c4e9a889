"""Explorers in a browser: right arithmetic, keys alone, steps at once, and no kernel behind them."""

from __future__ import annotations

import base64
import json
import os
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch

from step2_model import explorers, model_solution
from step2_model.experiments import ablation

pytestmark = [pytest.mark.browser, pytest.mark.slow]
TEXT = "def f(self, name):"
STEPS = 50
NAMES = ("attention", "stream", "surprise")
# Shows an explorer as anywidget does: style sheet, program, and a model that only holds what was sent.
SHOW = """async ([state, inside]) => {
    document.head.append(Object.assign(document.createElement('style'), {textContent: state._css}));
    const arrays = {};
    for (const [name, {shape, data}] of Object.entries(state.arrays)) {
        const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
        arrays[name] = {shape, data: new DataView(bytes.buffer)};
    }
    const program = `${state._esm}\\nexport const inside = {${inside}};`;
    const url = URL.createObjectURL(new Blob([program], {type: 'text/javascript'}));
    const module = await import(url);
    window.inside = module.inside;
    const el = document.createElement('main');
    document.body.append(el);
    module.default.render({model: {get: name => name === 'arrays' ? arrays : state[name]}, el});
}"""
# From a key's event to the frame after the one in which its result is painted, in milliseconds.
WATCH = """() => {
    window.waits = [];
    addEventListener('keydown', () => {
        const pressed = performance.now();
        requestAnimationFrame(() => {
            const channel = new MessageChannel();
            channel.port1.onmessage = () => window.waits.push(performance.now() - pressed);
            channel.port2.postMessage(0);
        });
    }, true);
}"""
# Text whose color is too close to what stands behind it, with the ratio found.
FAINT = """() => {
    const context = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
    const rgb = colors => {
        context.clearRect(0, 0, 1, 1);
        for (const color of colors) { context.fillStyle = color; context.fillRect(0, 0, 1, 1); }
        return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = color => {
        const [r, g, b] = color.map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = element =>
        element ? [...behind(element.parentElement), getComputedStyle(element).backgroundColor] : ['white'];
    const found = [];
    for (const element of document.querySelectorAll('.course-explorer *')) {
        const isText = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
        if (!isText || element.closest('style')) continue;
        const style = getComputedStyle(element);
        const under = behind(element);
        const ink = element.namespaceURI.endsWith('svg') ? style.fill : style.color;
        const pair = [rgb([...under, ink]), rgb(under)];
        const [low, high] = pair.map(light).sort((a, b) => a - b);
        const ratio = (high + 0.05) / (low + 0.05);
        if (ratio < 4.5) found.push(`${element.tagName} ${element.textContent} ${ratio.toFixed(2)}`);
    }
    return found;
}"""
# Boxes that cut off or scroll what they hold.
CUT = """() => [...document.querySelectorAll('.course-explorer *')]
    .filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== 'visible')
    .map(e => e.outerHTML.slice(0, 80))"""
PAINT_DARK = """css => {
    for (const [name, value] of Object.entries(css)) document.documentElement.style.setProperty(name, value);
    Object.assign(document.body.style, {background: '#111', color: '#fff'});
}"""
DARK = {
    "--jp-layout-color0": "#111111",
    "--jp-content-font-color1": "rgba(255, 255, 255, 1)",
    "--jp-ui-font-family": "system-ui, sans-serif",
}


def state_of(widget: Any) -> dict[str, Any]:
    """Return what travels to the page, as JSON."""
    arrays = {
        name: {"shape": array["shape"], "data": base64.b64encode(array["data"]).decode()}
        for name, array in widget.arrays.items()
    }
    return {"arrays": arrays, **{name: getattr(widget, name) for name in ("values", "whose", "_esm", "_css")}}


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    config = model_solution.GPTConfig(256, 32, n_layer=2, n_head=4, n_embd=64)
    return ablation.start_large(model_solution.GPT(config)).eval()


@pytest.fixture
def shown(browser: Any, model: Any) -> Iterator[Callable[..., Any]]:
    """Return a function that shows an explorer on an empty page: `page = shown("attention", width=400)`."""
    context = browser.new_context()

    def page_of(name: str, width: int = 900, inside: str = "", theme: str = "light") -> Any:
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.faults = []
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("console", lambda said: page.faults.append(said.text) if said.type == "error" else None)
        page.set_content('<!doctype html><html lang="en"><title>an explorer</title><body></body></html>')
        if theme == "dark":
            page.evaluate(PAINT_DARK, DARK)
        widget = getattr(explorers, name)(model_solution, model, TEXT)
        page.evaluate(SHOW, [state_of(widget), inside])
        page.widget = widget
        return page

    yield page_of
    context.close()


def said(page: Any) -> str:
    """Return the sentence that the explorer says after the next frame."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.locator(".said").inner_text()


def test_the_pages_arithmetic_is_torchs(shown: Any, model: Any) -> None:
    page = shown("attention", inside="softmax, logSumExp, attendInPage, entropyInBits, largest, cosine")
    torch.manual_seed(1)
    scores, values = 3 * torch.randn(7, dtype=torch.float64), torch.randn(7, 4, dtype=torch.float64)
    hidden = torch.tensor([0, 0, 0, 0, 0, 1, 1])
    inputs = [scores.tolist(), hidden.tolist(), values.tolist()]
    for scaled in (True, False):
        for masked in (True, False):
            raw = scores if scaled else scores * 2
            law = (raw.masked_fill(hidden.bool(), -torch.inf) if masked else raw).softmax(dim=-1)
            found = page.evaluate(
                "([s, h, v, scaled, masked]) => inside.attendInPage(s, h, v, {scaled, masked})",
                [*inputs, scaled, masked],
            )
            assert found["raw"] == pytest.approx(raw.tolist())
            assert found["weights"] == pytest.approx(law.tolist())
            assert found["mixture"] == pytest.approx((law @ values).tolist())
            bits = -torch.special.xlogy(law, law).sum() / torch.log(torch.tensor(2.0))
            assert page.evaluate("w => inside.entropyInBits(w)", law.tolist()) == pytest.approx(bits.item())
    huge = [1000.0, 999.0, -1000.0]
    assert page.evaluate("z => inside.logSumExp(z)", huge) == pytest.approx(
        torch.tensor(huge).logsumexp(0).item()
    )
    assert page.evaluate("z => inside.softmax(z)", huge) == pytest.approx(
        torch.tensor(huge).softmax(0).tolist()
    )
    assert page.evaluate("() => inside.largest([1, 5, 5, 2], 3)") == [1, 2, 3]


def test_growth_and_loss_in_the_page_are_torchs(shown: Any) -> None:
    torch.manual_seed(2)
    page = shown("stream", inside="growth")
    vectors = torch.randn(4, 6, dtype=torch.float64)
    found = page.evaluate("v => inside.growth(v)", vectors.tolist())
    steps = vectors.diff(dim=0)
    assert [f["size"] for f in found] == pytest.approx(vectors.square().mean(1).sqrt().tolist())
    assert [f["added"] for f in found[1:]] == pytest.approx(steps.square().mean(1).sqrt().tolist())
    angles = torch.cosine_similarity(steps, vectors[:-1], dim=1)
    assert [f["cosine"] for f in found[1:]] == pytest.approx(angles.tolist())

    page = shown("surprise", inside="lossOf, asWritten")
    logits = (3 * torch.randn(9)).requires_grad_()
    pair = torch.stack([logits, logits])[None]
    loss = model_solution.next_token_loss(pair, torch.tensor([[0, 4]]))
    loss.backward()
    found = page.evaluate("z => inside.lossOf(z, 4)", logits.tolist())
    assert found["surprise"] == pytest.approx(loss.item(), rel=1e-5)
    assert logits.grad is not None
    assert found["gradient"] == pytest.approx(logits.grad.tolist(), abs=1e-6)
    for shift in (0.0, 80.0, 90.0, 100.0):
        z = torch.full((3,), shift)
        wanted = z.exp().sum().log().item()
        found = page.evaluate("z => { const v = inside.asWritten(z); return String(v) }", z.tolist())
        assert float(found.replace("Infinity", "inf")) == pytest.approx(wanted, rel=1e-6)


def test_attention_is_walked_with_keys_and_says_what_the_model_computed(shown: Any) -> None:
    page = shown("attention")
    state = state_of(page.widget)
    weights = torch.frombuffer(
        bytearray(base64.b64decode(state["arrays"]["weights"]["data"])), dtype=torch.float32
    ).view(8, 18, 18)
    page.keyboard.press("Tab")
    slider = page.locator('[role="slider"]').first
    assert slider.evaluate("element => element === document.activeElement")
    page.keyboard.press("Home")
    for _ in range(7):
        page.keyboard.press("ArrowLeft")
    assert "In block 1, head 1 the query “d” at position 0 reads most from “d”" in said(page)
    for _ in range(6):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    told = said(page)
    row = weights[1, 6]
    best = int(row.argmax())
    name = page.widget.values["tokens"][best]
    assert f"block 1, head 2 the query “s” at position 6 reads most from “{name}” at position {best}:" in told
    assert slider.get_attribute("aria-valuetext") == told
    assert slider.get_attribute("aria-valuenow") == "6"
    in_table = page.locator("tbody tr td:nth-child(6)").all_inner_texts()
    assert [float(number) for number in in_table] == pytest.approx(row.tolist(), abs=0.0051)
    assert page.locator("tfoot td").first.inner_text() == "1.00"
    assert "future" not in told
    page.get_by_role("button", name="without mask").press("Enter")
    assert "of the weight lies in the future" in said(page)
    assert "computed in this page" in page.locator(".course-explorer").inner_text()
    assert page.faults == []


def test_the_stream_is_walked_with_keys_and_says_what_the_head_would_predict(shown: Any) -> None:
    page = shown("stream")
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    for _ in range(9):
        page.keyboard.press("ArrowUp")
    assert "After embeddings, the stream of “d” at position 0 has size" in said(page)
    assert "Nothing is added yet." in said(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    told = said(page)
    assert "After attention 1, the stream of “e” at position 1 has size" in told
    assert "at a cosine of" in told
    assert "“f”, which did come, gets" in told
    page.keyboard.press("End")
    assert "did come" not in said(page)
    assert page.faults == []


def test_a_logit_is_raised_with_keys_and_a_constant_changes_nothing(shown: Any) -> None:
    page = shown("surprise")
    value = {name: page.locator(f"dd.{name}") for name in ("nats", "naive", "whole", "module", "slopes")}
    before = float(value["nats"].inner_text())
    assert before == pytest.approx(float(value["module"].inner_text()), abs=0.011)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    raised = float((said(page), value["nats"].inner_text())[1])
    assert raised < before - 0.5
    assert float(value["module"].inner_text()) == pytest.approx(before, abs=0.011)
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    said(page)
    assert float(value["nats"].inner_text()) == pytest.approx(raised, abs=0.011)
    assert value["naive"].inner_text() == "∞"
    assert float(value["whole"].inner_text()) > 100
    assert value["slopes"].inner_text() == "0.00"
    page.get_by_role("button", name="Logits as they were").press("Enter")
    said(page)
    assert float(value["nats"].inner_text()) == pytest.approx(before, abs=0.011)
    page.locator(".handle").nth(2).click(position={"x": 3, "y": 5})
    assert "The logit of" in said(page)
    assert page.locator("tbody tr").nth(2).get_attribute("class") == "chosen"
    assert page.faults == []


@pytest.mark.parametrize("name", NAMES)
def test_every_step_is_followed_by_a_frame_without_a_word_to_the_kernel(
    name: str, shown: Any, record_property: Any
) -> None:
    page = shown(name)
    page.evaluate(WATCH)
    page.locator('[role="slider"]').last.focus()
    keys = ["ArrowUp", "ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown", "ArrowLeft"]
    for i in range(STEPS):
        page.keyboard.press(keys[i % len(keys)])
    said(page)
    waits = page.evaluate("() => window.waits")
    assert len(waits) == STEPS
    assert page.faults == [], "a step called for the kernel, of which the page has only what it was sent"
    median, slowest = statistics.median(waits), max(waits)
    record_property("milliseconds", {"median": median, "max": slowest})
    print(f"{name}: {STEPS} steps, median {median:.1f} ms, max {slowest:.1f} ms")
    if folder := os.environ.get("COURSE_SCREENSHOTS"):
        text = json.dumps({"median": round(median, 1), "max": round(slowest, 1)})
        Path(folder, f"latency-{name}.json").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_faint_cut_off_or_wider_than_the_page(name: str, theme: str, shown: Any) -> None:
    for width in (400, 1280):
        page = shown(name, width=width, theme=theme)
        page.wait_for_timeout(400)
        assert page.locator(".course-explorer").evaluate("box => box.classList.contains('dark')") == (
            theme == "dark"
        )
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert page.evaluate(CUT) == []
        assert page.evaluate(FAINT) == []
        if folder := os.environ.get("COURSE_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/{name}-{theme}-{width}.png", full_page=True)


NOTEBOOK = "step2_model/explorers_tried.ipynb"
PANEL = f"() => [...jupyterapp.shell.widgets('main')].find(widget => widget.context?.path === '{NOTEBOOK}')"
OPEN = f"""async () => {{
    await jupyterapp.commands.execute('docmanager:open', {{path: '{NOTEBOOK}'}});
    const panel = ({PANEL})();
    await panel.context.ready;
    await panel.context.sessionContext.ready;
    await panel.context.sessionContext.session.kernel.info;
    jupyterapp.shell.activateById(panel.id);
    await jupyterapp.commands.execute('notebook:run-all-cells');
}}"""
RESTART = f"async () => (({PANEL})()).context.sessionContext.session.kernel.restart()"
ACTIVE = f"() => (({PANEL})()).content.activeCellIndex"
CELLS = [
    "import torch\nfrom coursekit import learner\nfrom step2_model import explorers\n"
    "from step2_model.experiments import ablation\nmine = learner()\ntorch.manual_seed(0)\n"
    "model = ablation.start_large(mine.GPT(mine.GPTConfig(256, 32, n_layer=2, n_head=4, n_embd=64)))",
    *[f"explorers.{name}(mine, model, {TEXT!r})" for name in (*NAMES, "attention")],
]


def tried_in(open_lab: Any, course_copy: Path) -> Any:
    """Open a notebook with four explorers in JupyterLab, run it and return the page."""
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(book, course_copy / NOTEBOOK)
    page = open_lab("dark")
    page.evaluate(OPEN)
    page.wait_for_function(
        "() => document.querySelectorAll('.course-explorer').length === 4", timeout=120_000
    )
    return page


def step(page: Any, number: int, key: str) -> None:
    """Press a key in one of the page's explorers; fails where its sentence stays or JupyterLab moves."""
    box = page.locator(".course-explorer").nth(number)
    box.scroll_into_view_if_needed()
    box.locator('[role="slider"]').last.focus()
    before, cell = box.locator(".said").inner_text(), page.evaluate(ACTIVE)
    page.keyboard.press(key)
    page.wait_for_function(
        "([box, before]) => box.querySelector('.said').textContent !== before",
        arg=[box.element_handle(), before],
        timeout=5000,
    )
    assert page.evaluate(ACTIVE) == cell, "JupyterLab took the key for itself"


def test_in_jupyterlab_keys_stay_in_the_explorer_and_a_restarted_kernel_changes_nothing(
    open_lab: Any, course_copy: Path
) -> None:
    page = tried_in(open_lab, course_copy)
    boxes = page.locator(".course-explorer")
    assert "Computed by the reference: 2.3a, 2.3b and 2.3c are not yours yet." in boxes.first.inner_text()
    assert boxes.evaluate_all("all => all.map(box => box.classList.contains('dark'))") == [True] * 4
    # Each has its own looks: a grid of features, a lens laid out by columns, bars to drag.
    looks = {
        ".features": ("display", "grid"),
        ".lens": ("tableLayout", "fixed"),
        ".handle": ("cursor", "ew-resize"),
    }
    for place, (name, wanted) in looks.items():
        found = page.locator(place).first.evaluate("(e, name) => getComputedStyle(e)[name]", name)
        assert found == wanted, place
    second = boxes.nth(3).locator(".said").inner_text()
    for number in range(3):
        step(page, number, "ArrowUp")
    assert boxes.nth(3).locator(".said").inner_text() == second, "two explorers of a page moved together"
    page.evaluate(RESTART)
    for number in range(4):
        step(page, number, "ArrowUp")
        step(page, number, "ArrowLeft")
    local = ("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:", "http://localhost", "ws://localhost")
    assert [url for url in page.requests_made if not url.startswith(local)] == []
    if folder := os.environ.get("COURSE_SCREENSHOTS"):
        for number in range(3):
            boxes.nth(number).scroll_into_view_if_needed()
            page.screenshot(path=f"{folder}/lab-{number}.png")
