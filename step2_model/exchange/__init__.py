"""Models that other programs open, and models that others have published: `export`, `load`, `compare`.

    model, tokenizer = load("gpt2")            # a folder on this machine, or a name of the Hugging Face hub
    export(model, "out", tokenizer)            # transformers.AutoModelForCausalLM.from_pretrained("out")
    print(compare(model, theirs, ids))         # layer by layer

Tutorial: docs/parity.md
"""

from __future__ import annotations

from step2_model.exchange.compare import Comparison, compare
from step2_model.exchange.export import export
from step2_model.exchange.loading import load

__all__ = ["Comparison", "compare", "export", "load"]
