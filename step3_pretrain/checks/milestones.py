"""Probes of the whole chain: it overfits a batch (3.overfits), learns stories (3.learns) and survives a kill
(3.resumes).
"""

from __future__ import annotations

import itertools
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from coursekit.corpora.storyworld import stories
from coursekit.probe import Rng, check, curve, equal, holds, redraw
from step3_pretrain.checks.observe import Bigrams, ByHand, fix_chance

# Rounding grows with every step; the faults that these claims are for change whole terms.
CURVE = 1e-4
WIDTHS = {"d_model": 16, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "intermediate_size": 24}
T = 16


def build(m: Any, rng: Any, vocab_size: int, **changes: Any) -> Any:
    """Return a small decoder with every weight redrawn, and logits of order one."""
    args = m.ModelArgs(attention="gqa", vocab_size=vocab_size, max_seq_len=T, **WIDTHS, **changes)
    model = redraw(m.Transformer(args), rng)
    with torch.no_grad():
        model.lm_head.weight.mul_(0.3)
    return model


@check("3.overfits")
def overfits(m: Any, rng: Any) -> Any:
    documents = [rng.integers(1, 40, length).tolist() for length in (20, 7, 15, 20)]
    ids = m.pack(documents, 0)[: 4 * T].reshape(4, T)
    yield "the batch: documents in a row, each with its end", ids
    model = build(m, rng, 40)
    optimizer = m.AdamW(model.parameters(), lr=0.02)
    losses = torch.stack([m.training_step(model, optimizer, ids, 1.0) for _ in range(40)])
    yield "the loss before the first step", losses[:1]
    yield equal("the loss before each of the first ten steps", losses[:10], CURVE)
    yield holds("after forty steps the batch is known by heart: below 0.1 nats", losses, is_by_heart)


def is_by_heart(losses: Any, given: Any) -> bool:
    """Accept losses whose last is below 0.1 nats."""
    return bool(losses.data[-1] < 0.1)


# Other code draws other batches. What is learned from them differs by 12 % in a trial, less than this.
VOCAB, STEPS, TAIL, BAND = 290, 40, 10, 0.4


@check("3.learns")
def learns(m: Any, rng: Any) -> Any:
    told = list(itertools.islice(stories(rng.integer(0, 10_000)), 30))
    texts, unseen = told[:24], told[24:]
    tokenizer = m.Tokenizer.train(texts, VOCAB, m.SPECIAL_TOKENS)
    end = tokenizer.special_tokens[m.END_OF_TEXT]
    stream = m.pack((tokenizer.encode(text, m.SPECIAL_TOKENS) for text in texts), end)
    yield "your tokenizer's ids of the stories, each with its end", stream

    model = build(m, rng, len(tokenizer))
    optimizer = m.AdamW(model.parameters(), lr=0.01)
    losses = []
    for step in range(12):
        optimizer.param_groups[0]["lr"] = m.learning_rate(step, 0.01, 4, 12)
        ids = stream[step * 4 * T : (step + 1) * 4 * T].reshape(4, T)
        # AdamW hides a limit that all steps have in common: it divides by the size of the gradients.
        losses.append(m.training_step(model, optimizer, ids, 0.02 if step % 4 == 3 else 1.0))
    yield equal("twelve steps through the stories: the loss before each", torch.stack(losses), CURVE)
    documents = [tokenizer.encode(text, m.SPECIAL_TOKENS) for text in unseen]
    num_bytes = sum(len(text.encode()) for text in unseen)
    measure = m.evaluate(model, m.document_batches(documents, end, T, 4), num_bytes)
    yield equal("bits per byte of stories that it has not seen", measure, CURVE)

    args = m.TrainingArgs(steps=STEPS, batch_size=8, block_size=T, learning_rate=0.02, warmup=4, seed=3)
    _, _, losses = m.pretrain(texts, VOCAB, args, attention="gqa", **WIDTHS)
    yield holds("a whole run: it begins near ln V, as good as a guess", losses, begins_as_a_guess)
    tail = torch.tensor(losses[-TAIL:], dtype=torch.float64).mean()
    yield holds("and it comes as far as the reference, whichever blocks are drawn", tail, is_near, given=tail)


# Enough for a mistake to show beside right code, in a second.
HUNT_STEPS, HUNT_RATE = 60, 0.1


@curve("3.learns")
def bigrams(m: Any) -> Any:
    """Yield the losses of a table of bigrams that learns what letters follow each other."""
    text = "the cat sat on the mat. the rat sat on the hat. the hat is on the cat."
    letters = sorted(set(text))
    stream = m.pack([[letters.index(c) for c in line] for line in text.split(".")[:3]], len(letters))
    fix_chance(0)
    model = Bigrams(torch.zeros(len(letters) + 1, len(letters) + 1))
    optimizer = ByHand(m, model.parameters(), HUNT_RATE)
    for step in range(HUNT_STEPS):
        optimizer.param_groups[0]["lr"] = m.learning_rate(step, HUNT_RATE, 10, HUNT_STEPS)
        ids = m.sample_blocks(stream, 12, 8, 0, step)
        yield float(m.training_step(model, optimizer, ids, 0.2))


def begins_as_a_guess(losses: Any, given: Any) -> bool:
    """Accept losses of all steps whose first is within a tenth of ln V."""
    return len(losses) == STEPS and abs(losses[0] - math.log(VOCAB)) < 0.1 * math.log(VOCAB)


def is_near(loss: Any, given: Any) -> bool:
    """Accept a mean loss within BAND of the trusted run's."""
    return bool(abs(loss.data - given.data) <= BAND * given.data)


BEFORE, AFTER = 6, 5


@check("3.resumes")
def resumes(m: Any, rng: Any) -> Any:
    chance = rng.integer(0, 2**30)
    stream = rng.integers(0, 40, 400)
    args = m.TrainingArgs(steps=12, batch_size=3, block_size=T, learning_rate=0.01, warmup=2, seed=chance)
    fix_chance(chance)
    model = build(m, rng, 40, dropout=0.2)
    optimizer = m.AdamW(model.parameters(), lr=0.01)
    run = m.train(model, optimizer, stream, args)
    done = [next(run) for _ in range(BEFORE)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.safetensors"
        m.save_checkpoint(path, model, optimizer, BEFORE, {"losses": len(done)})
        undisturbed = list(itertools.islice(run, AFTER))
        yield "a file of that name stands there, and nothing else", sorted(os.listdir(folder))

        fix_chance(chance + 1)
        fresh = build(m, rng, 40, dropout=0.2)
        again = m.AdamW(fresh.parameters(), lr=0.5)
        step, extra = m.load_checkpoint(path, fresh, again)
        yield "the number of the next step, and what was kept beside it", [step, extra]
        resumed = list(itertools.islice(m.train(fresh, again, stream, args, step), AFTER))
        differences = torch.tensor(undisturbed) - torch.tensor(resumed)
        yield "the later losses, less those of the run that went on undisturbed", differences
        yield "they are equal bit for bit", undisturbed == resumed
        pairs = zip(model.parameters(), fresh.parameters())
        yield "and so is every weight", all(torch.equal(one, two) for one, two in pairs)

        failed = "a save that fails at the last moment says so, and leaves the old checkpoint alone"
        yield failed, [*saved_in_vain(m, path, fresh, again), sorted(os.listdir(folder))]


def saved_in_vain(m: Any, path: Path, model: Any, optimizer: Any) -> list[Any]:
    """Return how a save ends whose last move fails, and the step of the checkpoint that is there then."""
    with moving_fails():
        try:
            m.save_checkpoint(path, model, optimizer, BEFORE + AFTER, {})
            ended = "no exception"
        except OSError:
            ended = "OSError"
    try:
        return [ended, m.load_checkpoint(path, model, optimizer)[0]]
    except ValueError:
        return [ended, "no checkpoint"]


@curve("3.resumes")
def stopped_halfway(m: Any) -> Any:
    """Yield the losses of a run that is stopped after half of its steps, and goes on from its checkpoint."""
    stream = torch.arange(400) * 7 % 40
    args = m.TrainingArgs(steps=40, batch_size=4, block_size=T, learning_rate=0.02, warmup=5)
    fix_chance(0)
    model = build(m, Rng(0), 40, dropout=0.1)
    optimizer = m.AdamW(model.parameters(), lr=0.02)
    yield from itertools.islice(m.train(model, optimizer, stream, args), 20)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.safetensors"
        m.save_checkpoint(path, model, optimizer, 20)
        fix_chance(1)
        model = build(m, Rng(1), 40, dropout=0.1)
        optimizer = m.AdamW(model.parameters(), lr=0.02)
        step, _ = m.load_checkpoint(path, model, optimizer)
    yield from m.train(model, optimizer, stream, args, step)


@contextmanager
def moving_fails() -> Iterator[None]:
    """Let every move of a file fail, as on a disk that goes away."""
    kept = os.replace, os.rename

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(5, "Input/output error")

    os.replace = os.rename = fail
    try:
        yield
    finally:
        os.replace, os.rename = kept
