"""The checkpoints of a run: the newest that is good is where it goes on, the oldest go."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from torch.distributed.checkpoint import CheckpointException

from step3_pretrain.parallel import sharded
from step3_pretrain.parallel.world import World, whole_weights
from step3_pretrain.run.folder import RunFolder
from step3_pretrain.trainer.chain import Chain
from step3_pretrain.trainer.errors import CannotTrain
from step3_pretrain.trainer.view import View


class Checkpoints:
    """Writes the last `keep` checkpoints with the learner's `save_checkpoint`, and reads the newest good one.

    `identity` is what a checkpoint of this run says of itself: one of another run is refused.
    """

    def __init__(
        self, chain: Chain, run: RunFolder, keep: int, identity: Mapping[str, str], world: World
    ) -> None:
        self.chain, self.run, self.keep, self.identity = chain, run, keep, dict(identity)
        self.world = world
        self.last: int | None = None

    def save(
        self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, extra: Mapping[str, Any]
    ) -> Path:
        """Write the checkpoint of `step` steps and the model's weights, then drop what is older than `keep`.

        Raises CannotTrain where the disk does not take it; earlier checkpoints stand.
        """
        path = self.run.checkpoint(step, is_folder=not self.world.is_alone)
        whole = {**extra, "identity": self.identity}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if self.world.is_alone:
                self.chain.core.save_checkpoint(path, model, optimizer, step, whole)
            else:
                sharded.save(path, model, optimizer, step, whole, self.world)
            self.last = step
            weights = whole_weights(model, self.world)
            if self.world.is_first:
                self.run.write_weights(weights)
        except (OSError, SafetensorError, CheckpointException) as error:
            raise self.cannot_write(path, error) from None
        if self.world.is_first:
            self.run.keep_newest(self.keep)
        return path

    def cannot_write(self, path: Path, error: BaseException) -> CannotTrain:
        """Return what to say when the disk does not take a file."""
        room = "make room" if getattr(error, "errno", None) == errno.ENOSPC else "see to it (is it full?)"
        stands = (
            "nothing was saved yet" if self.last is None else f"the checkpoint of step {self.last} stands"
        )
        return CannotTrain(
            f"the disk must take {path}, got: {getattr(error, 'strerror', None) or error}; {stands}. "
            f"Then {room} and go on with: --resume {self.run.path}"
        )

    def restore(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, view: View
    ) -> tuple[int, dict[str, Any]]:
        """Bring model, optimizer and generators to the newest good checkpoint; return its step and extra.

        Without any checkpoint the run begins at step 0. Raises CannotTrain where none of those that are there
        can be used.
        """
        found = self.run.checkpoints()
        for _, path in found:
            try:
                step, extra = self._load(path, model, optimizer)
                self._must_be_own(path, extra)
            except ValueError as error:
                view.say(f"Passed over: {error}")
                continue
            self.last = step
            return step, extra
        if found:
            raise CannotTrain(
                f"a run must have a good checkpoint to go on from, got {len(found)} in "
                f"{found[0][1].parent} of which none can be used: begin another run"
            )
        view.say("There is no checkpoint yet: the run begins anew.")
        return 0, {}

    def _load(
        self, path: Path, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[int, dict[str, Any]]:
        """Read a checkpoint of one process, or of several; either may go on from the other's."""
        found: tuple[int, dict[str, Any]]
        if path.is_dir():
            found = sharded.load(path, model, optimizer, self.world)
        elif self.world.is_alone:
            found = self.chain.core.load_checkpoint(path, model, optimizer)
        else:
            read = self.chain.core.load_checkpoint
            found = sharded.adopt(lambda *twin: read(path, *twin), model, optimizer)
        return found

    def _must_be_own(self, path: Path, extra: Mapping[str, Any]) -> None:
        theirs = extra.get("identity")
        if theirs == self.identity:
            return
        names = sorted(set(theirs or {}) | set(self.identity)) if isinstance(theirs, dict | None) else []
        other = [name for name in names if (theirs or {}).get(name) != self.identity.get(name)]
        raise ValueError(f"{path} must be of this run, got other {', '.join(other) or 'contents'}")
