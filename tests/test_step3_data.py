"""The data, the step and the measure of step 3: properties of the solutions, and parity with libraries."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from step3_pretrain.checks.observe import Bigrams, Descent
from step3_pretrain.model_solution import (
    document_batches,
    evaluate,
    pack,
    sample_blocks,
    sample_documents,
    training_step,
)

ROOT = Path(__file__).parent.parent


def test_a_stream_cut_at_its_ends_gives_the_documents_back() -> None:
    draw = random.Random(0)
    documents = [[draw.randrange(9) for _ in range(draw.randrange(6))] for _ in range(50)]
    stream = pack(documents, 9).tolist()
    text = " ".join(map(str, stream))
    parts = [part.split() for part in text.split("9")]
    assert [list(map(int, part)) for part in parts[:-1]] == [each for each in documents if each]
    assert parts[-1] == []
    assert any(not each for each in documents), "empty documents must be among them"


def test_a_batch_is_the_same_in_another_process() -> None:
    code = (
        "import torch; from step3_pretrain.model_solution import sample_blocks;"
        "print(sample_blocks(torch.arange(1000), 3, 4, 5, 6).tolist())"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(sample_blocks(torch.arange(1000), 3, 4, 5, 6).tolist())


def test_a_stream_shorter_than_a_block_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one block of 4 ids, got 3"):
        sample_blocks(torch.arange(3), 4, 1, 0, 0)


def test_steps_are_those_of_torchs_own_descent() -> None:
    table, batches = torch.randn(5, 5), torch.randint(0, 5, (6, 2, 4))
    ours, theirs = Bigrams(table), Bigrams(table)
    optimizer, peer = Descent(ours.parameters(), 0.3), torch.optim.SGD(theirs.parameters(), 0.3)
    for ids in batches:
        loss = training_step(ours, optimizer, ids)  # type: ignore[arg-type]
        peer.zero_grad()
        theirs(ids, labels=ids).loss.backward()
        peer.step()
        assert not loss.requires_grad
    torch.testing.assert_close(ours.table, theirs.table)
    assert not torch.equal(ours.table, table)


@pytest.mark.parametrize("block_size", [2, 3, 5, 64])
def test_bits_per_byte_are_those_of_every_token_once_whatever_the_rows(block_size: int) -> None:
    model, end = Bigrams(torch.randn(7, 7)).eval(), 6
    draw = random.Random(1)
    documents = [[draw.randrange(6) for _ in range(draw.randrange(1, 9))] for _ in range(20)]
    surprise = model.table.detach().log_softmax(dim=-1)
    pairs = [pair for each in documents for pair in zip([end, *each], [*each, end])]
    bits = -sum(float(surprise[pair]) for pair in pairs) / math.log(2)
    found = evaluate(model, document_batches(documents, end, block_size, 3), 100)
    assert found == pytest.approx(bits / 100, rel=1e-5)


def test_a_uniform_model_spends_the_logarithm_of_its_vocabulary() -> None:
    model = Bigrams(torch.zeros(8, 8))
    ids = torch.randint(0, 8, (2, 5))
    assert evaluate(model, [(ids, ids)], 8) == pytest.approx(3.0)
    assert model.training
    assert F.cross_entropy(torch.zeros(1, 8), ids[0, :1]).item() == pytest.approx(math.log(8))


def test_documents_of_one_length_share_a_batch_which_is_a_function_of_seed_and_step() -> None:
    end, size = 99, 4
    documents = [[number] * (1 + number) for number in range(40)]
    drawn: list[int] = []
    filled = wanted = 0
    for step in range(8):
        ids, labels = sample_documents(documents, end, 64, size, 5, step)
        again = sample_documents(documents, end, 64, size, 5, step)
        assert torch.equal(ids, again[0])
        assert torch.equal(labels, again[1])
        for row, counted in zip(ids.tolist(), (labels >= 0).sum(dim=1).tolist(), strict=True):
            number = row[1]
            assert row[:counted] == [end, *documents[number], end]
            assert row[counted:] == [end] * (len(row) - counted)
            drawn.append(number)
        filled += ids.numel()
        wanted += int((labels >= 0).sum())
    lengths = [(min(some), max(some)) for some in (drawn[at : at + size] for at in range(0, 32, size))]
    ordered = sorted(lengths)
    assert lengths != ordered, "which batch comes when is drawn, too"
    assert all(one[1] <= other[0] for one, other in pairwise(ordered))
    assert filled < 1.3 * wanted
    assert not torch.equal(*(sample_documents(documents, end, 10, size, seed, 0)[0][:, 1] for seed in (1, 2)))
    assert sample_documents(documents, end, 10, size, 5, 0)[0].shape[1] <= 10
