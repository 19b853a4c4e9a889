"""A talk with a model, in a terminal or in a notebook, on one and the same streaming generator.

talk_with(mine, speaker)                 # in a notebook: the model and the functions that are there
talk_about_run("runs/story")             # in a notebook: any run, any exported folder
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from step4_generate.talk.widget import TalkWidget

__all__ = ["talk_about_run", "talk_with"]


@dataclass(frozen=True)
class InHand:
    """Code that is loaded already, where a chain would load it."""

    core: Any
    is_reference: bool = False

    def file(self, step: str, trio: str = "model") -> Any:
        """Return the core of step 4; nothing else is needed for a talk."""
        return self.core


def talk_with(mine: Any, speaker: Any, story: str | None = None, **settings: Any) -> TalkWidget:
    """Return a talk with a model that has learned dialogues, written by the functions of `mine`.

    `mine` is what `learner()` returns, `speaker` has `model` and `tokenizer`. Without a story it begins with
    one that no training has seen. Settings are those of `/set`; the most probable answer is the usual one.

    Tutorial: docs/tutorials/step4_generate.md
    """
    from coursekit.whose import whose
    from step4_generate.talk.opening import Opened
    from step4_generate.talk.settings import Settings
    from step4_generate.talk.widget import TalkWidget

    code = InHand(mine)
    opened = Opened(
        Path("this model"), speaker.model.eval(), speaker.tokenizer, code, code, has_dialogue=True
    )
    usual = {"temperature": 0.0} | settings
    return TalkWidget(opened, Settings(**usual), story, whose(mine, "4.4b", "4.5", "4.6"))


def talk_about_run(
    run: str | Path, story: str | None = None, solution: bool = False, **settings: Any
) -> TalkWidget:
    """Return a talk with the model of a run, or of an exported folder, written by your files as saved.

    Raises CannotWrite for a model that has seen no dialogue, and what opening a folder raises.

    Tutorial: docs/tutorials/step4_generate.md
    """
    from step4_generate.talk.opening import open_folder
    from step4_generate.talk.settings import Settings
    from step4_generate.talk.widget import TalkWidget

    return TalkWidget(open_folder(Path(run), solution), Settings(**({"temperature": 0.0} | settings)), story)
