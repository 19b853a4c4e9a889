"""One streaming generator for everything that writes: scripts, terminals, notebooks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from step4_generate.talk.errors import CannotWrite
from step4_generate.talk.opening import Opened
from step4_generate.talk.settings import Settings

END_OF_TEXT, STOP, LENGTH, STOPPED = "end of text", "stop string", "length", "stopped"


@dataclass
class Written:
    """What was written, as far as it was shown, and why it ended; it grows while it is written."""

    text: str = ""
    ids: list[int] = field(default_factory=list)
    ended: str = STOPPED


class Writer:
    """Continues ids with text, piece by piece; `written` holds the newest."""

    def __init__(self, opened: Opened, settings: Settings) -> None:
        self.opened, self.settings = opened, settings
        self.written = Written()
        self.restart()

    def restart(self, number: int = 0) -> None:
        """Draw from here on as the text of this number draws; the seed decides all of it."""
        seed = (self.settings.seed + number) % 2**63
        self.generator = torch.Generator().manual_seed(seed)

    def stream(self, ids: Sequence[int], ends: Collection[int]) -> Iterator[str]:
        """Yield what follows the ids, up to one of the ids `ends`, a stop string, or the most new tokens.

        Whoever takes no more pieces stops it. Raises CannotWrite where there is nothing to follow.
        """
        if not ids:
            raise CannotWrite("a prompt must have at least one token, got an empty one")
        opened, written = self.opened, Written()
        self.written = written
        given = torch.tensor([ids], device=opened.device)
        choose, most = self.choose(given), self.settings.max_new_tokens
        columns = opened.core.generate_cached(opened.model, given, most, opened.context, choose)
        taken = self._taken(columns, written, ends)
        for piece in opened.core.stream_text(taken, opened.tokenizer.vocab, self.settings.stop):
            written.text += piece
            yield piece
        if written.ended == STOPPED:
            written.ended = STOP

    def _taken(self, columns: Iterable[Tensor], written: Written, ends: Collection[int]) -> Iterator[int]:
        """Yield the ids up to the end, and note them and why there are no more."""
        for column in columns:
            token = int(column[0])
            if token in ends:
                written.ended = END_OF_TEXT
                return
            written.ids.append(token)
            yield token
        written.ended = LENGTH

    def choose(self, ids: Tensor) -> Callable[[Tensor], Tensor]:
        """Return what chooses the next token: the core of this step, or its further part for what only that
        can do. It draws on the CPU, so that a seed means the same on every device.
        """
        draw = self._draw_further(ids.cpu()) if self.settings.is_further else self._draw()
        num_tokens = len(self.opened.tokenizer)

        def choose(logits: Tensor) -> Tensor:
            found = logits.float().cpu()
            if found.shape[-1] > num_tokens:
                # Rows of a published model that no token uses.
                found[:, num_tokens:] = float("-inf")
            return draw(found).to(logits.device)

        return choose

    def _draw(self) -> Callable[[Tensor], Tensor]:
        core, settings = self.opened.core, self.settings
        args = core.SamplingArgs(settings.temperature, settings.top_k, settings.top_p)
        return lambda logits: core.next_token(logits, args, self.generator)

    def _draw_further(self, ids: Tensor) -> Callable[[Tensor], Tensor]:
        further = self.opened.further
        options = further.SamplingOptions(**self.settings.sampling)
        sampler: Callable[[Tensor], Tensor] = further.Sampler(options, ids, self.generator)
        return sampler
