"""For the further chapter: a small model that drafts for a large one, and what generation costs the large."""

from __future__ import annotations

from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from coursekit.corpora.storyworld import stories
from step2_model.model_solution import ModelArgs, Transformer
from step3_pretrain.experiments import small
from step3_pretrain.further_solution import Muon, muon_groups
from step3_pretrain.model_solution import clip_gradients, pack, sample_blocks
from step4_generate.experiments.measuring import counted
from step4_generate.experiments.speaking import Speaker
from step4_generate.model_solution import context_length

STORIES, STEPS, BATCH, BLOCK = 800, 150, 8, 128
MATRIX_RATE, RATE = 0.02, 4e-3
NEW = 60
SHAPE: dict[str, Any] = {"d_model": 48, "n_layers": 1, "n_heads": 2, "n_kv_heads": 2, "intermediate_size": 96}


def learn_draft(speaker: Speaker, steps: int = STEPS, seed: int = 0) -> nn.Module:
    """Return a model of one layer with the speaker's vocabulary and window, trained on stories for seconds.

    It learns what can be learned from a few tokens before: forms, not facts.
    """
    told = [
        speaker.tokenizer.encode(story, speaker.special_tokens) for story in islice(stories(seed), STORIES)
    ]
    stream = pack(told, speaker.end_of_text)
    window = context_length(speaker.model)
    args = ModelArgs(
        vocab_size=len(speaker.tokenizer), max_seq_len=window, attention="gqa", tie_embeddings=True, **SHAPE
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Transformer(args)
    optimizer = Muon(muon_groups(model, MATRIX_RATE, RATE))
    for step in range(small.steps(steps)):
        ids = sample_blocks(stream, min(BLOCK, window), BATCH, seed, step)
        optimizer.zero_grad()
        loss = model(ids, labels=ids).loss
        assert loss is not None
        loss.backward()
        clip_gradients(model.parameters(), 1.0)
        optimizer.step()
    return model.eval()


def acceptance(model: Any, draft_model: Any, ids: Tensor) -> Tensor:
    """Return how likely a draft is accepted after each token of ids (1, T): the sum of min(p, q)."""
    with torch.no_grad():
        p, q = (one(ids).logits[0].double().softmax(dim=-1) for one in (model, draft_model))
    return torch.minimum(p, q).sum(dim=-1)


def expected_tokens(share: float, num_drafts: int) -> float:
    """Return how many tokens a round brings on average if each draft is accepted with this probability.

    1 + a + a² + ... + a^K: the k-th draft counts if all up to it are accepted, and one token comes anyway.
    """
    return sum(share**k for k in range(num_drafts + 1))


def calls(mine: Any, speaker: Speaker, draft: nn.Module, text: str, num_drafts: int, runs: int = 1) -> int:
    """Return how often the speaker's model is asked while `mine` continues a text by `NEW` tokens, so many
    times.
    """
    generator, args = torch.Generator().manual_seed(0), mine.SamplingArgs()
    with counted(speaker.model) as asked:
        for _ in range(runs):
            ids = speaker.ids(text)
            mine.generate_speculative(speaker.model, draft, ids, NEW, num_drafts, args, generator)
    return len(asked)
