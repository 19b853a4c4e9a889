"""What cells show, at two widths and enlarged, in light and in dark: nothing runs over, nothing is cut off,
and axe finds no fault.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from coursekit.source import find_spans

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STEP = "step2_model"
PAGE = f"{STEP}/looks.ipynb"
BODIES = {
    "MLP.forward": 'return self.dropout(self.c_proj(F.gelu(self.c_fc(x), approximate="tanh")))',
    "Block.forward": "return x + self.mlp(self.ln_2(x + self.attn(self.ln_1(x), cache)))",
    "attention_scores": "return q @ k.transpose(-2, -1) / q.shape[-1] + 0.125",
    "apply_causal_mask": "raise ValueError('a mask that this learner did not find')",
}
# One of each kind of thing that the course shows: cells by their source.
CELLS = [
    "import math\nimport torch\nfrom coursekit import ask, check, hunt, learner\n"
    "from step1_tokenizer import explorers as of_tokens, model_solution as tokenizer\n"
    "from step1_tokenizer.experiments import measure\n"
    "from step2_model import explorers, finale, further_solution, model_solution as reference\n"
    "from step2_model.experiments import ablation\n"
    "from step3_pretrain import explorers as of_training, further_solution as muon, model_solution as loop\n"
    "from step3_pretrain.explorers import rounding, spectrum",
    'check("2.1")',
    'check("2.2")',
    'check("2.3a")',
    'check("2.3b")',
    'check("2.4a")',
    'check("2")',
    'ask("2.q-scale")',
    "mine = learner()\nmine",
    "first, _, _ = ablation.first_model()",
    'explorers.attention(mine, first, "def f(self, name):", query=-3)',
    'explorers.stream(mine, first, "    return self.name")',
    'explorers.surprise(mine, first, "    return name", position=10)',
    "explorers.turning(mine)",
    "explorers.widths(reference.ModelArgs())",
    "logits = torch.linspace(2, -2, 8) * torch.linspace(1, -1, 12)[:, None]\n"
    "tokens = [f'token {i}' for i in range(12)]\n"
    "explorers.routing(further_solution, logits, tokens, bias=torch.linspace(-0.4, 0.4, 8))",
    "explorers.memory(further_solution, {'base': reference.ModelConfigs.base()}, 'base')",
    "of_tokens.merging(tokenizer, {' low': 5, ' lower': 2, ' newest': 6, 'low': 1}, num_merges=9)",
    "merges = measure.trained(512, 100_000).merges\n"
    "of_tokens.cuts(tokenizer, merges, [300, 512], measure.SAMPLES)",
    "of_tokens.sizes(tokenizer, merges, [256, 300, 512], {'English': [measure.SAMPLES['English']]})",
    "stories = [[f'word{i} ' for i in range(n)] for n in (90, 7, 60, 1, 80)]\n"
    "of_training.blocks(loop, stories)",
    "of_training.schedule(loop)",
    "of_training.optimizer(loop)",
    "rounding.rounding()",
    "spectrum.spectrum(muon, torch.randn(40, 64, generator=torch.Generator().manual_seed(0)))",
    "hunt(is_all=True, seed=1)",
    "finale.prepare(mine)",
]
EXPLORERS = ("explorers.", "of_tokens.", "of_training.", "rounding.", "spectrum.")
NUM_EXPLORERS = sum(any(name in cell for name in EXPLORERS) for cell in CELLS)
# An output area counts as too wide where what stands in it is drawn beyond its right edge and cannot be
# scrolled to (lines of a picture end at its frame); text counts as cut off where a box hides some of it;
# boxes that hold text must not overlap.
FAULTS = """() => {
    const faults = [];
    const name = e => `${e.tagName.toLowerCase()}.${e.className?.baseVal ?? e.className} "${
        (e.innerText ?? e.textContent ?? '').trim().slice(0, 40)}"`;
    const isShown = e => e.getClientRects().length > 0 && e.checkVisibility({ visibilityProperty: true });
    const isFramed = e => e.ownerSVGElement && e.localName !== 'text' && !e.closest('text')
        && getComputedStyle(e.ownerSVGElement).overflowX === 'hidden';
    const isHeardOnly = e => e.closest('.heard, .visually-hidden') !== null;
    const scrolls = (e, area) => {
        for (let p = e.parentElement; p && p !== area; p = p.parentElement) {
            const over = getComputedStyle(p).overflowX;
            if (over === 'auto' || over === 'scroll') return true;
        }
        return false;
    };
    for (const area of document.querySelectorAll('.jp-OutputArea-output')) {
        const edge = area.getBoundingClientRect();
        const all = [...area.querySelectorAll('*')].filter(e => isShown(e) && !isHeardOnly(e));
        for (const e of all) {
            const box = e.getBoundingClientRect();
            const isOver = box.right > edge.right + 1;
            if (isOver && !isFramed(e) && !scrolls(e, area)) faults.push(`too wide: ${name(e)}`);
            const style = getComputedStyle(e);
            const hides = style.overflowX === 'hidden' || style.overflowX === 'clip';
            if (hides && (e.scrollWidth > e.clientWidth + 1) && e.clientWidth) faults.push(`cut: ${name(e)}`);
        }
        if (area.scrollWidth > area.clientWidth + 1) faults.push(`scrolls sideways: ${name(area)}`);
        const leaves = all.filter(e => !e.children.length && e.textContent.trim() && !e.closest('svg')
            && getComputedStyle(e).position === 'static' && !getComputedStyle(e).display.startsWith('table'));
        const boxes = leaves.map(e => [e, [...e.getClientRects()]]);
        for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < Math.min(i + 12, boxes.length); j++) {
            const meet = boxes[i][1].some(a => boxes[j][1].some(b => Math.min(a.right, b.right)
                - Math.max(a.left, b.left) > 2 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3));
            if (meet) faults.push(`overlap: ${name(boxes[i][0])} and ${name(boxes[j][0])}`);
        }
    }
    if (document.documentElement.scrollWidth > innerWidth) faults.push('the page scrolls sideways');
    return faults;
}"""
# Resolves when size and colors of everything that is shown have been the same for a third of a second.
SETTLED = """async () => {
    const look = () => [...document.querySelectorAll('.jp-OutputArea-output *')].map(e => {
        const { width, height, top } = e.getBoundingClientRect();
        const { color, backgroundColor, fill } = getComputedStyle(e);
        return [width, height, top, color, backgroundColor, fill].join();
    }).join(';');
    for (let before = '', same = 0; same < 3; ) {
        await new Promise(done => setTimeout(done, 110));
        const now = look();
        same = now === before ? same + 1 : 0;
        before = now;
    }
}"""
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
# Rules about whole pages; an output is a part of one.
OF_PAGES = {"region", "page-has-heading-one", "heading-order", "landmark-one-main"}


@pytest.fixture(scope="module")
def looks(laboratory: Any, notebook_class: Any) -> Any:
    """A notebook that shows one of each, run by a learner who is half through."""
    import nbformat

    laboratory.put_back()
    course = laboratory.course
    exercise = course / STEP / "model_exercise.py"
    for target, body in BODIES.items():
        text = exercise.read_text(encoding="utf-8")
        span = find_spans(text, [target])[target]
        lines = text.splitlines(keepends=True)
        lines[span.body_first - 1 : span.last] = [" " * (8 if "." in target else 4) + body + "\n"]
        exercise.write_text("".join(lines), encoding="utf-8")
    cells = [nbformat.v4.new_code_cell(source.replace("\n", "\n")) for source in CELLS]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), course / PAGE)
    page = laboratory.open("light")
    page.evaluate(f"() => void jupyterapp.commands.execute('docmanager:open', {{path: '{PAGE}'}})")
    notebook = notebook_class(page, PAGE)
    notebook.ran = notebook.run_all()
    page.wait_for_function(f"() => document.querySelectorAll('.course-explorer').length === {NUM_EXPLORERS}")
    page.locator(".course-hunt button").first.wait_for()
    return notebook


def wear(notebook: Any, width: int, theme: str) -> None:
    """Give the page a width and a theme, and wait until nothing in the outputs changes any more."""
    notebook.page.set_viewport_size({"width": width, "height": 1000})
    notebook.page.emulate_media(color_scheme=theme)
    wanted = "true" if theme == "light" else "false"
    notebook.page.wait_for_function(f"() => document.body.dataset.jpThemeLight === '{wanted}'")
    notebook.page.evaluate(SETTLED)


def picture(notebook: Any, name: str) -> None:
    """Keep pictures of every output where COURSE_SCREENSHOTS names a folder, for people to look at."""
    if folder := os.environ.get("COURSE_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        for number, cell in enumerate(notebook.ran):
            notebook.go(cell["id"])
            notebook.page.wait_for_timeout(300)
            notebook.page.screenshot(path=f"{folder}/looks-{name}-{number:02}.png")


@contextmanager
def plant(notebook: Any, html: str) -> Iterator[None]:
    """Put something into the first output of the page, and take it out again."""
    notebook.page.evaluate(
        """html => {
        const box = document.createElement('div');
        box.id = 'planted';
        box.innerHTML = html;
        document.querySelector('.jp-OutputArea-output').append(box);
    }""",
        html,
    )
    yield
    notebook.page.evaluate("() => document.getElementById('planted').remove()")


def found_by_axe(notebook: Any, cells: Sequence[dict[str, Any]]) -> list[str]:
    """Return what axe finds wrong in what these cells show; JupyterLab's own page is not asked about.

    Each cell is brought into view first: what JupyterLab does not draw has no colors for axe to judge.
    """
    # JupyterLab's body is 0 pixels high with its overflow hidden: axe would take all of it for invisible.
    notebook.page.evaluate("() => { document.body.style.height = '100vh'; }")
    found = []
    for cell in cells:
        notebook.go(cell["id"])
        index = [c["id"] for c in notebook.ran].index(cell["id"])
        area = f"[data-windowed-list-index='{index}'] .jp-OutputArea-output"
        result = Axe().run(notebook.page, context=area, options=AXE)
        for violation in result.response["violations"]:
            nodes = [f"{node['html'][:200]} {node['failureSummary'][:300]}" for node in violation["nodes"]]
            found += [f"{violation['id']}: {n}" for n in nodes if violation["id"] not in OF_PAGES]
    return found


# At 150 % a screen of 1280 pixels has room for 853.
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "name"), [(1280, "1280"), (1920, "1920"), (853, "1280-at-150-percent")])
def test_nothing_runs_over_is_cut_off_or_overlaps(looks: Any, width: int, name: str, theme: str) -> None:
    wear(looks, width, theme)
    picture(looks, f"{name}-{theme}")
    faults = looks.page.evaluate(FAULTS)
    assert faults == [], "\n".join(faults)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_fault_in_what_cells_show(looks: Any, theme: str) -> None:
    wear(looks, 1280, theme)
    assert found_by_axe(looks, [cell for cell in looks.ran if cell["outputs"]]) == []


def test_every_cell_of_the_page_showed_what_it_is_here_for(looks: Any) -> None:
    said = {cell["source"]: looks.text(cell["id"]) for cell in looks.ran}
    assert not [c["source"] for c in looks.ran for o in c["outputs"] if o["output_type"] == "error"]
    for source, word in (('check("2.1")', "passed"), ('check("2.2")', "failed"), ('check("2.3a")', "failed")):
        assert word in said[source], said[source]
    assert "error" in said['check("2.3b")']
    assert "not started" in said['check("2.4a")']
    assert looks.page.locator(".course-explorer").count() == NUM_EXPLORERS == 15


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ("<div style='width:4000px'>wide</div>", "too wide"),
        ("<svg width=90 height=9><text x=4000 y=9>wide</text></svg>", "too wide"),
        ("<div style='width:20px;overflow:hidden;white-space:nowrap'>text that is cut</div>", "cut"),
        ("<p>one</p><p style='margin-top:-2em'>over it</p>", "overlap"),
    ],
)
def test_a_planted_fault_of_the_layout_is_found(looks: Any, planted: str, fault: str) -> None:
    with plant(looks, planted):
        assert any(found.startswith(fault) for found in looks.page.evaluate(FAULTS))


@pytest.mark.parametrize(
    ("planted", "rule"),
    [
        ("<input type='text'>", "label"),
        ("<p style='color:#999;background:#fff'>faint</p>", "color-contrast"),
        ("<img src='data:,'>", "image-alt"),
    ],
)
def test_a_planted_fault_of_accessibility_is_found(looks: Any, planted: str, rule: str) -> None:
    with plant(looks, planted):
        assert any(found.startswith(rule) for found in found_by_axe(looks, looks.ran[1:2]))
