"""`course model report RUN_OR_PRESET`: is a model whole, what stands in its weights, how fast is it here?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coursekit.loading import CannotLoad
from coursekit.registry import COURSE_ROOT
from step1_tokenizer.published import NotThere
from step2_model.exchange.models import PRESETS, new_model, trained_model
from step2_model.exchange.parts import CannotDo
from step2_model.report.saving import save_report
from step2_model.report.validation import validate_model


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says: 0 done, 1 not possible or not whole, 2 wrong usage, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="course model", description=__doc__)
    jobs = parser.add_subparsers(dest="job", required=True, metavar="report")
    report = jobs.add_parser("report", help="checks, weights and speed of a model, as a page and as JSON")
    report.add_argument(
        "model", metavar="RUN_OR_PRESET", help=f"a run's folder, or one of {', '.join(PRESETS)}"
    )
    report.add_argument("--out", type=Path, help="the folder to write (default: runs/report-NAME)")
    report.add_argument("--seed", type=int, default=0, help="of a new model (%(default)s)")
    report.add_argument("--solution", action="store_true", help="use the reference, not your own code")
    chosen = parser.parse_args(arguments)
    folder = chosen.out or COURSE_ROOT / "runs" / f"report-{Path(chosen.model).name}"
    try:
        model = opened(chosen)
        whole = validate_model(model)
        print(whole)
        save_report(model, settings(model), folder, title=chosen.model)
    except KeyboardInterrupt:
        return 130
    except (CannotDo, CannotLoad, NotThere, ValueError, NotImplementedError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{folder} cannot be written: {error.strerror or error}; name another --out", file=sys.stderr)
        return 1
    print(f"Written: {folder / 'report.html'}")
    return 0 if whole.passed else 1


def opened(chosen: argparse.Namespace) -> Any:
    """Return the model that is named: a run's, or a new one of a preset."""
    if chosen.model in PRESETS:
        return new_model(chosen.model, chosen.seed, chosen.solution)
    if not (Path(chosen.model) / "config.json").is_file():
        raise CannotDo(
            f"there must be a run's folder with config.json, or a preset of {', '.join(PRESETS)}, "
            f"got {chosen.model!r}"
        )
    return trained_model(Path(chosen.model), chosen.solution)


def settings(model: Any) -> Any:
    """Return the configuration that a model was built from."""
    return model.args if hasattr(model, "args") else model.config


if __name__ == "__main__":
    raise SystemExit(main())
