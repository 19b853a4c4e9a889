"""A model's report as a folder: a page for people, JSON for programs, the figure and the configuration."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from html import escape
from pathlib import Path
from typing import Any

from torch import nn

from step2_model.report.speed import benchmark_model
from step2_model.report.validation import validate_model
from step2_model.report.weights import plot_weights, weight_statistics

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #212121; background: #fff; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.15rem 0.8rem 0.15rem 0; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child, td.text { text-align: left; }
.failed { color: #b00020; font-weight: 600; }
img { max-width: 100%; height: auto; }
.scrolls { overflow-x: auto; }
"""


def save_report(model: nn.Module, config: Any, folder: str | Path, title: str = "A model") -> Path:
    """Write report.html, report.json, weights.png and config.json, and return the folder.

    The page needs no other file and no network. `config` is a GPTConfig, a ModelArgs or any dict. Files of
    these names are replaced.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    found = asdict(config) if is_dataclass(config) and not isinstance(config, type) else dict(config)
    validation = validate_model(model)
    report = {
        "title": title,
        "config": found,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "passed": validation.passed,
        "validation": [asdict(finding) for finding in validation.findings],
        "speed": benchmark_model(model),
        "weights": weight_statistics(model),
    }
    plot_weights(model, folder / "weights.png")
    (folder / "config.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    picture = base64.b64encode((folder / "weights.png").read_bytes()).decode("ascii")
    (folder / "report.html").write_text(_page(report, picture), encoding="utf-8")
    return folder


def _page(report: dict[str, Any], picture: str) -> str:
    title = escape(report["title"])
    checks = [(f["what"], "holds" if f["holds"] else "FAILED", f["seen"]) for f in report["validation"]]
    weights = [
        (
            row["name"],
            " × ".join(map(str, row["shape"])),
            f"{row['count']:,}",
            *(f"{row[name]:.3g}" for name in ("mean", "std", "min", "max")),
            f"{row['zeros']:.1%}",
        )
        for row in report["weights"]
    ]
    names = ("parameter", "shape", "numbers", "mean", "std", "min", "max", "zeros")
    speed = [(name.replace("_", " "), _readable(value)) for name, value in report["speed"].items()]
    config = [(name, str(value)) for name, value in report["config"].items()]
    alt = f"Histograms of the weights of {report['title']}, one for each kind of parameter."
    verdict = "Everything that was looked at holds." if report["passed"] else "Not everything holds."
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
            f"<style>{STYLE}</style></head><body><h1>{title}</h1>",
            f"<p>{report['parameters']:,} parameters. {verdict}</p>",
            "<h2>Checks</h2>",
            _table(("what", "", "seen"), checks),
            "<h2>On this machine</h2>",
            _table(("", ""), speed),
            "<h2>Weights</h2>",
            f'<img alt="{escape(alt)}" src="data:image/png;base64,{picture}">',
            _table(names, weights),
            "<h2>Configuration</h2>",
            _table(("", ""), config),
            "</body></html>\n",
        ]
    )


def _readable(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in names)
    lines = []
    for row in rows:
        cells = "".join(
            f"<td{' class=failed' if cell == 'FAILED' else ''}>{escape(cell)}</td>" for cell in row[1:]
        )
        lines.append(f"<tr><th scope='row'>{escape(row[0])}</th>{cells}</tr>")
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f"<div class='scrolls'><table>{body}</table></div>"
