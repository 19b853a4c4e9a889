"""What a model is and whether it is whole: checks, weights, speed, and a page of all of it.

    validate_model(model)            # shapes, gradients, dead parameters, causality, cache
    weight_statistics(model)         # a row for each parameter
    plot_weights(model)              # a figure
    benchmark_model(model)           # times on this machine
    save_report(model, config, dir)  # report.html, report.json, weights.png, config.json

In a terminal: `course model report RUN_OR_PRESET`.

Tutorial: docs/tutorials/step2_model_modern.md#the-whole
"""

from __future__ import annotations

from step2_model.report.saving import save_report
from step2_model.report.speed import benchmark_model
from step2_model.report.validation import Finding, Validation, validate_model
from step2_model.report.weights import plot_weights, weight_statistics

__all__ = [
    "Finding",
    "Validation",
    "benchmark_model",
    "plot_weights",
    "save_report",
    "validate_model",
    "weight_statistics",
]
