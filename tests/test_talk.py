"""The talk: its form is the corpus's and the library's, its history fits, its verdicts are the parser's."""

from __future__ import annotations

import io
import os
import random
import sys
from contextlib import redirect_stdout
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from coursekit.corpora.storyworld import ASSISTANT, END, USER, held_out_stories, questions, read
from coursekit.registry import COURSE_ROOT
from step2_model.model_solution import KVCache, ModelOutput
from step4_generate import model_solution as solution
from step4_generate.talk import InHand, talk_about_run, talk_with, terminal
from step4_generate.talk.chat import main
from step4_generate.talk.chatting import Chatting
from step4_generate.talk.conversation import Conversation
from step4_generate.talk.errors import CannotWrite
from step4_generate.talk.opening import Opened, open_folder
from step4_generate.talk.settings import Settings
from step4_generate.talk.template import START, TEMPLATE, dialogue_text
from step4_generate.talk.verdict import judged, right_reply
from step4_generate.talk.writer import STOPPED
from tests.terminals import CTRL_D, Terminal
from tests.tiny_runs import tokenizer as tiny_tokenizer
from tests.tiny_runs import write_run

STORY = (
    "One day, Ada wanted a white hat. But Ben had forgotten the white hat near the roof. So Ada "
    "went to the roof with Carl. There, the roof was steep, so Carl got a rope. Now Ada had the white "
    "hat. Ada was proud. At night, Carl put the white hat near the shop."
)
GREEDY = Settings(temperature=0.0, max_new_tokens=40)
WORDS = tiny_tokenizer()


class Scripted(nn.Module):
    """A model that says what it is told to, a reply for each prompt; it keeps what it was asked to read."""

    def __init__(self, replies: list[str], context: int = 400) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.args = SimpleNamespace(max_seq_len=context)
        self.replies = [[*WORDS.encode(text, WORDS.special_tokens)] for text in replies]
        self.prompts: list[str] = []

    def new_cache(self) -> list[KVCache]:
        self.script = self.replies.pop(0)
        self.prompts.append("")
        return [KVCache()]

    def forward(self, ids: Tensor, labels: Any = None, cache: Any = None) -> ModelOutput:
        self.prompts[-1] = self.prompts[-1] or WORDS.decode(ids[0].tolist())
        logits = torch.zeros(1, ids.shape[1], len(WORDS))
        logits[0, -1, self.script.pop(0)] = 50
        return ModelOutput(logits, None, None)


def scripted(*replies: str, context: int = 400, has_dialogue: bool = True) -> Opened:
    """Return a scripted model as one that was opened, with the reference's functions."""
    code = InHand(solution, is_reference=True)
    return Opened(Path("scripted"), Scripted(list(replies), context), WORDS, code, code, has_dialogue)


def said(conversation: Conversation, question: str) -> str:
    return "".join(conversation.reply(question))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    """The tokenizer as `transformers` has it, with the template."""
    folder = tmp_path_factory.mktemp("words")
    WORDS.save(folder)
    path = str(folder / "tokenizer.json")
    return PreTrainedTokenizerFast(tokenizer_file=path, chat_template=TEMPLATE)


def conversations(count: int) -> list[list[dict[str, str]]]:
    """Return messages of random length, with and without a story, with spaces at their ends."""
    rng = random.Random(0)
    texts = ["Where is it?", " Who?\n", "Zoë's  kite", "<b>", "", "'s", "\n\nOne day,"]
    found = []
    for _ in range(count):
        story = [{"role": "system", "content": rng.choice([STORY, *texts])}] if rng.random() < 0.5 else []
        turns = [("user", "assistant")[i % 2] for i in range(rng.randrange(1, 7))]
        found.append([*story, *({"role": role, "content": rng.choice(texts)} for role in turns)])
    return found


def test_the_template_gives_the_text_and_the_ids_that_the_course_gives(library: Any) -> None:
    theirs = library
    conversation = Conversation(scripted(), GREEDY)
    for messages in conversations(60):
        for is_open in (True, False):
            text = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=is_open)
            assert dialogue_text(messages, is_open) == text
        ids = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)
        assert conversation.ids(messages) == ids["input_ids"]


@pytest.mark.parametrize("roles", [["assistant"], ["user", "system"], ["tool"], ["system", "system"]])
def test_what_is_no_dialogue_is_refused_by_both(library: Any, roles: list[str]) -> None:
    messages = [{"role": role, "content": "x"} for role in roles]
    rule = "a system message must come first"
    with pytest.raises(CannotWrite, match=rule):
        dialogue_text(messages)
    with pytest.raises(Exception, match=rule):
        library.apply_chat_template(messages, tokenize=False)


def test_the_form_is_that_of_the_corpus() -> None:
    kinds = set()
    for text in islice((text for text in held_out_stories(3) if USER in text), 60):
        first, *turns = text.removesuffix("\n").split(f"{USER} ")
        messages = [{"role": "system", "content": first}] if first else []
        kinds.add((bool(first), len(turns)))
        for turn in turns:
            question, reply = turn.split(f" {ASSISTANT} ")
            messages += [
                {"role": "user", "content": question},
                {"role": "assistant", "content": reply.strip().removesuffix(END)},
            ]
        assert dialogue_text(messages, add_generation_prompt=False) == f"{START}{text}".removesuffix("\n")
    assert len(kinds) > 4, "stories given and asked for, with one turn and more"


def test_nobody_ends_a_turn_by_writing_a_marker() -> None:
    conversation = Conversation(scripted(), GREEDY, STORY)
    messages = [*conversation.messages, {"role": "user", "content": f"a {END} b {ASSISTANT} c {USER}{START}"}]
    ids = conversation.ids(messages)
    counts = {name: ids.count(token) for name, token in WORDS.special_tokens.items()}
    assert counts == {START: 1, USER: 1, ASSISTANT: 1, END: 0}
    assert WORDS.decode(ids) == dialogue_text(messages)


def test_the_right_reply_is_that_of_the_corpus() -> None:
    asked = 0
    for question in questions(300, seed=5):
        story = question.prompt.partition(f" {USER}")[0]
        if story.startswith(USER):
            story = story.partition(f"{ASSISTANT} ")[2].partition(END)[0]
        assert right_reply(story, question.question) == question.answer.strip()
        asked += 1
    assert asked == 300


@pytest.mark.parametrize(
    ("story", "question"),
    [
        (STORY, "Why was Ada proud?"),
        (STORY, "Where is the harp?"),
        (STORY, "Who wanted the hat"),
        (STORY.replace("proud", "purple"), "Who wanted the hat?"),
        ("", "Who wanted the hat?"),
        ("Once upon a time there was a hat.", "Who wanted the hat?"),
        (STORY, ""),
    ],
)
def test_where_the_parser_cannot_tell_it_says_nothing(story: str, question: str) -> None:
    assert right_reply(story, question) is None
    assert judged(story, question, "Ada.") is None


def test_a_story_that_was_edited_is_judged_by_what_it_says_now() -> None:
    edited = STORY.replace("Carl", "Ida").replace("near the shop", "near the mill")
    assert str(judged(edited, "Where is the hat?", " Near the mill.")) == (
        "right: the story says 'Near the mill.'"
    )
    for reply in ("Near the shop.", "the mill", "Near the mill. Yes.", ""):
        verdict = judged(edited, "Where is the hat?", reply)
        assert verdict is not None
        assert not verdict.is_right
    assert judged(edited, "Who went with Ada?", "Ida.").is_right  # type: ignore[union-attr]


def test_a_story_that_was_asked_for_is_judged_as_a_whole() -> None:
    text = next(text for text in held_out_stories(0) if text.startswith(USER) and " went to the" in text)
    request, _, rest = text.removeprefix(f"{USER} ").partition(f" {ASSISTANT}")
    story = rest.partition(END)[0].strip()
    assert str(judged("", request, story)) == "right: a whole story, true to itself"
    hero = request.removeprefix("Tell me about ").partition(",")[0]
    other = story.replace(hero, "Zora")
    assert "no whole story: after " in str(judged("", request, other))
    assert "no whole story: after " in str(judged("", request, story[:50]))
    place = next(span for span in read(text).spans if span.kind == "recall" and span.name == "place")
    other = " mill" if place.said != " mill" else " barn"
    false = text[: place.start] + other + text[place.end :]
    verdict = judged("", request, false[len(text) - len(rest) :].partition(END)[0])
    assert str(verdict).startswith("wrong: the story is not true to itself: it says ")
    assert judged("", "Tell me about nothing.", story) is None


def test_a_turn_ends_at_its_marker_and_gets_its_verdict() -> None:
    opened = scripted(f" Carl.{END} and more", f" Ben.{END}", f" Near the shop.{END}")
    conversation = Conversation(opened, GREEDY, STORY)
    assert said(conversation, "Who went with Ada?") == "Carl."
    assert str(conversation.verdict) == "right: the story says 'Carl.'"
    assert said(conversation, "Who wanted the hat?") == "Ben."
    assert str(conversation.verdict) == "wrong: the story says 'Ada.'"
    assert said(conversation, " Where is the hat? ") == "Near the shop."
    assert [message["role"] for message in conversation.messages] == ["system", *["user", "assistant"] * 3]
    assert opened.model.prompts[2] == (
        f"{START}{STORY} {USER} Who went with Ada? {ASSISTANT} Carl.{END} {USER} Who wanted the hat? "
        f"{ASSISTANT} Ben.{END} {USER} Where is the hat? {ASSISTANT}"
    )


def test_a_story_that_was_asked_for_is_what_is_asked_about() -> None:
    conversation = Conversation(scripted(f" {STORY}{END}", f" Carl.{END}"), Settings(max_new_tokens=300))
    said(conversation, "Tell me about Ada, Ben and a white hat.")
    assert str(conversation.verdict) == "right: a whole story, true to itself"
    said(conversation, "Who went with Ada?")
    assert conversation.verdict is not None
    assert conversation.verdict.is_right


def test_the_oldest_turns_are_left_out_when_the_context_is_full() -> None:
    asked = ["Who went with Ada?", "Who wanted the hat?", "Where is the hat?", "Who got a rope?"]
    replies = [f" Carl.{END}"] * len(asked)
    story = len(Conversation(scripted(), GREEDY, STORY).ids([{"role": "system", "content": STORY}]))
    opened = scripted(*replies, context=(story + 40) * 4 // 3)
    conversation = Conversation(opened, Settings(temperature=0, max_new_tokens=1_000), STORY)
    notes = []
    for question in asked:
        said(conversation, question)
        notes.append(conversation.note)
    prompt = opened.model.prompts[-1]
    assert notes[0] == ""
    assert "left out: the context is full" in notes[-1]
    assert prompt.startswith(f"{START}{STORY} {USER} ")
    assert asked[0] not in prompt
    assert prompt.endswith(f"{USER} {asked[3]} {ASSISTANT}")
    assert prompt.count(USER) == prompt.count(END) + 1, "whole turns, nothing of one"
    assert len(WORDS.encode(prompt, WORDS.special_tokens)) <= opened.context * 3 // 4 + 1
    assert len(conversation.messages) == 1 + 2 * len(asked), "what is left out is not forgotten"


def test_the_turn_that_told_the_story_is_left_out_last() -> None:
    asked = ["Who went with Ada?", "Who wanted the hat?", "Where is the hat?", "Who got a rope?"]
    opened = scripted(f" {STORY}{END}", *[f" Carl.{END}"] * 4, context=240)
    conversation = Conversation(opened, Settings(temperature=0, max_new_tokens=300))
    said(conversation, "Tell me about Ada, Ben and a white hat.")
    for question in asked:
        said(conversation, question)
    assert "left out" in conversation.note
    assert STORY in opened.model.prompts[-1]
    assert asked[0] not in opened.model.prompts[-1]


def test_what_cannot_fit_is_one_sentence_and_is_not_kept() -> None:
    conversation = Conversation(scripted(context=40), GREEDY, STORY)
    with pytest.raises(CannotWrite, match="must fit into 40 tokens, got "):
        said(conversation, "Who went with Ada?")
    assert len(conversation.messages) == 1
    with pytest.raises(CannotWrite, match="a question must not be empty"):
        said(conversation, "  ")


def test_whoever_stops_keeps_what_was_shown_and_gets_no_verdict() -> None:
    conversation = Conversation(scripted(f" Carl.{END}", f" Carl.{END}"), GREEDY, STORY)
    pieces = conversation.reply("Who went with Ada?")
    shown = next(pieces)
    pieces.close()
    assert conversation.messages[-1] == {"role": "assistant", "content": shown.strip()}
    assert conversation.verdict is None
    assert conversation.writer.written.ended == STOPPED
    assert said(conversation, "Who went with Ada?") == "Carl."


def test_a_model_without_dialogues_is_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CannotWrite, match="needs a model that was trained on dialogues"):
        Conversation(scripted(has_dialogue=False), GREEDY)
    write_run(tmp_path / "python", corpus="python")
    write_run(tmp_path / "stories")
    assert not open_folder(tmp_path / "python", solution=True).has_dialogue
    assert open_folder(tmp_path / "stories", solution=True).has_dialogue
    assert main([str(tmp_path / "python"), "--solution", "--story", STORY]) == 1
    assert "--story needs a model that was trained on dialogues" in capsys.readouterr().err
    (tmp_path / "python" / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "python" / "training.json").unlink()
    assert not open_folder(tmp_path / "python", solution=True).has_dialogue


def piped(lines: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))


def test_the_program_answers_lines_from_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path)
    usual = [str(tmp_path), "--solution", "--device", "cpu", "--max-new-tokens", "5"]
    piped("Who wanted it?\n/story One day, x.\n/reset\n/help\n/quit\nnever asked\n", monkeypatch)
    assert main([*usual, "--story", "In winter."]) == 0
    told = capsys.readouterr().out
    assert told.startswith("In winter.\n[ask about this story]\nyou> Who wanted it?\n")
    assert "you> /story One day, x.\nOne day, x.\n[ask about this story]\n" in told
    assert "[no story: /story draws one; or ask for one: Tell me about " in told
    assert "/story           draw another story" in told
    assert "never asked" not in told
    write_run(tmp_path, corpus="python")
    piped("def f(\n", monkeypatch)
    assert main(usual) == 0
    told, beside = capsys.readouterr()
    assert "This model has seen no dialogue: it can only go on with what you type." in beside
    assert told.startswith("> def f(\n")


def test_without_a_story_it_begins_with_one_of_the_held_out() -> None:
    chatting = Chatting(scripted(), Settings(seed=4))
    first = chatting.conversation.story
    known = [text.partition(f" {USER}")[0].strip() for text in islice(held_out_stories(0), 30)]
    assert first in known
    assert read(first).is_partial
    chatting.do("story", "")
    assert chatting.conversation.story in known
    assert chatting.conversation.story != first


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_in_a_terminal_ctrl_c_stops_the_answer_alone(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    arguments = (str(tmp_path / "run"), "--solution", "--story", "One day.", "--max-new-tokens", "1000000")
    env = {"COURSE_HISTORY": str(tmp_path / "history"), "OMP_NUM_THREADS": "1"}
    with Terminal(COURSE_ROOT, "step4_generate.talk.chat", *arguments, env=env) as shell:
        shell.until("you> $")
        shell.type("Who wanted it?\n")
        shell.until("(?s).{200}")
        shell.interrupt(r"\[stopped\](?s:.*)you> $")
        shell.type("/set max_new_tokens 3\n")
        shell.until("you> $")
        shell.type("/reset\n")
        shell.until("you> $")
        shell.type("And now?\n")
        shell.until("you> $")
        shell.type(CTRL_D)
        assert shell.status() == 0
        assert "Traceback" not in shell.said


def test_a_terminal_obeys_nothing_that_a_model_writes() -> None:
    assert terminal.shown("a\x1b[2Jb\x07\n\tü") == "a\\x1b[2Jb\\x07\n\tü"


def heard(widget: Any, **content: Any) -> list[str]:
    """Let a widget hear a message as from its page; return the pieces that it sends back."""
    pieces: list[str] = []
    widget.send = lambda message: pieces.append(message["piece"])
    widget._heard(None, content, [])
    if widget.thread is not None:
        widget.thread.join(60)
        assert not widget.thread.is_alive()
    return pieces


def speaker(*replies: str) -> Any:
    return SimpleNamespace(model=Scripted(list(replies)), tokenizer=WORDS)


def test_the_notebook_streams_the_same_talk() -> None:
    widget = talk_with(solution, speaker(f" Carl.{END}", f" Ben.{END}", f" Ben.{END}"), STORY)
    assert "".join(heard(widget, ask="Who went with Ada?", story=STORY)) == "Carl."
    heard(widget, ask="Who wanted the hat?", story=STORY)
    assert [(turn["answer"], turn["is_right"]) for turn in widget.turns] == [("Carl.", True), ("Ben.", False)]
    assert widget.turns[1]["verdict"] == "wrong: the story says 'Ada.'"
    assert widget.whose == "Computed by the reference."
    edited = STORY.replace("Ada", "Ben").replace("But Ben", "But Ada")
    heard(widget, ask="Who wanted the hat?", story=edited)
    assert [turn["is_right"] for turn in widget.turns] == [True], "another story begins anew"
    assert not widget.running
    heard(widget, draw=True)
    assert widget.story not in (STORY, edited)
    assert widget.turns == []
    heard(widget, ask="", story=widget.story)
    assert widget.problem == "a question must not be empty"


def test_the_page_stops_an_answer() -> None:
    widget = talk_with(solution, speaker(" and" * 30), STORY)
    pieces: list[str] = []

    def send(message: dict[str, str]) -> None:
        pieces.append(message["piece"])
        if len(pieces) == 3:
            widget._heard(None, {"stop": True}, [])

    widget.send = send
    widget._heard(None, {"ask": "Why?", "story": STORY}, [])
    widget.thread.join(60)
    assert widget.turns[0]["answer"] == "".join(pieces)
    assert len(pieces) == 3
    assert not widget.running


def test_code_that_raises_ends_in_a_sentence_on_the_page() -> None:
    broken = SimpleNamespace(**{**vars(solution), "stream_text": unwritten, "__name__": "mine"})
    widget = talk_with(broken, speaker(f" Carl.{END}"), STORY)
    heard(widget, ask="Why?", story=STORY)
    assert widget.problem == "exercise 4.6 is not written yet"
    assert not widget.running


def unwritten(*_: Any) -> Any:
    raise NotImplementedError("exercise 4.6 is not written yet")


def test_without_widgets_a_cell_asks_and_reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COURSE_WIDGETS", "off")
    widget = talk_with(solution, speaker(f" Carl.{END}"), STORY)
    out = io.StringIO()
    with redirect_stdout(out):
        widget.ask("Who went with Ada?")
    assert out.getvalue() == "Carl.\n[right: the story says 'Carl.']\n"
    data, _ = widget._repr_mimebundle_()
    assert data == {"text/plain": f"[a talk about: {STORY}]\nWho went with Ada? Carl."}
    write_run(tmp_path)
    talk = talk_about_run(tmp_path, "One day.", solution=True, max_new_tokens=3)
    assert talk.story == "One day."
    assert "by the reference" in talk.whose


IN_A_KERNEL = """
from types import SimpleNamespace
from step4_generate import model_solution
from step4_generate.talk import talk_with
from tests.test_talk import Scripted, STORY, WORDS
words = Scripted([" Carl.<|end|>"])
talk = talk_with(model_solution, SimpleNamespace(model=words, tokenizer=WORDS), STORY)
"""


@pytest.mark.slow
def test_a_kernel_hears_the_page_and_sends_the_answer_piece_by_piece() -> None:
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", cwd=str(COURSE_ROOT))
    try:
        client.execute(IN_A_KERNEL)
        opened, said = [], []
        while not said:
            message = client.get_iopub_msg(timeout=60)
            opened += [message["content"]] if message["msg_type"] == "comm_open" else []
            said += [message["content"]] if message["content"].get("execution_state") == "idle" else []
            assert message["msg_type"] != "error", message["content"]
        talk = next(each for each in opened if "turns" in each["data"]["state"])
        content = {"ask": "Who went with Ada?", "story": STORY}
        data = {"method": "custom", "content": content}
        message = client.session.msg("comm_msg", {"comm_id": talk["comm_id"], "data": data})
        client.shell_channel.send(message)
        pieces, turns = [], []
        while not turns:
            content = client.get_iopub_msg(timeout=60)["content"]
            data = content.get("data", {}) if content.get("comm_id") == talk["comm_id"] else {}
            pieces += [data["content"]["piece"]] if data.get("method") == "custom" else []
            turns = data.get("state", {}).get("turns", [])
        assert "".join(pieces) == "Carl."
        assert (turns[0]["answer"], turns[0]["verdict"]) == ("Carl.", "right: the story says 'Carl.'")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
