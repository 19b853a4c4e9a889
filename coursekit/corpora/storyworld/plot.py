"""What happens in a story: one program, told to an oracle that makes its choices.

Somebody wishes for something, which is lost, taken or damaged; on the way to where it is people meet, find
and give things; at that place there is a hardship or a price; it ends well or not. What the program knows of
the story so far (who is there, who holds what, where things are) decides what can happen next, and is
recalled again and again.
"""

from __future__ import annotations

from collections.abc import Iterable

from coursekit.corpora.storyworld.lexicon import ASSISTANT, END, USER, among, article, lexicon
from coursekit.corpora.storyworld.telling import Options, Oracle
from coursekit.corpora.storyworld.world import World


class _Story:
    """The state of a story, and its steps in their order. Words carry the space in front of them."""

    hero: str
    friend: str
    wanted: str
    color: str
    place: str
    damage = ""
    # Whether the friend is at that place, with the thing or with what mends it.
    is_friend_there = True

    def __init__(self, oracle: Oracle, world: World) -> None:
        self.world = world
        self.words = lexicon(world)
        self.say, self.choose, self.recall = oracle.say, oracle.choose, oracle.recall
        # What this story has used up, who is on the way, who holds what, and what can be asked at the end.
        self.names: list[str] = []
        self.things: list[str] = []
        self.visited: list[str] = []
        self.party: list[str] = []
        self.holders: dict[str, str] = {}
        self.questions: dict[str, tuple[str, Options, str]] = {}

    def tell(self) -> None:
        """Tell the whole document."""
        is_request = self.choose(self.words.opening) == USER
        if is_request:
            self.request()
        self.wish(is_request)
        self.trouble(is_request)
        self.journey()
        self.arrival()
        self.outcome()
        self.night()
        if is_request:
            self.say(END)
        self.dialogue()

    def request(self) -> None:
        """The user asks for a story about two people and a thing."""
        self.say(" Tell me about")
        self.hero = self.new_person()
        self.say(",")
        self.friend = self.new_person()
        self.say(" and a")
        self.color = self.choose(self.words.color)
        self.wanted = self.new_thing()
        self.say(f". {ASSISTANT}")
        self.choose(self.words.time)

    def wish(self, is_request: bool) -> None:
        """One day, Ada wanted to ride a red bike."""
        self.say(",")
        if is_request:
            self.name(self.hero)
            self.say(f" wanted to{self.words.verb_of[self.wanted]} a")
            self.recall(self.words.color, self.color)
            self.thing(self.wanted)
        else:
            self.hero = self.new_person()
            self.say(" wanted to")
            verb = self.choose(self.words.verb)
            self.say(" a")
            self.color = self.choose(self.words.color)
            self.wanted = self.choose(self.words.things[verb])
            self.things.append(self.wanted)
        self.say(".")
        self.party.append(self.hero)
        self.ask(f"What did{self.hero} want?", self.words.thing, self.wanted)
        self.ask(f"Who wanted the{self.wanted}?", self.words.name, self.hero)
        self.ask(f"What color is the{self.wanted}?", self.words.color, self.color)

    def trouble(self, is_request: bool) -> None:
        """But Ben had hidden it in the barn. Or: Sadly it was torn, and Ben had the needle in the barn."""
        if self.choose(self.words.trouble) == " Sadly":
            self.say(" it was")
            self.damage = self.choose(self.words.damage)
            self.say(", and")
        if is_request:
            self.name(self.friend)
        else:
            self.friend = self.new_person()
        self.say(" had")
        if self.damage:
            _, tool = self.world.damages[self.damage.strip()]
            self.say(f" the {tool}")
            self.ask(f"Who had the {tool}?", self.words.name, self.friend)
        else:
            fate = self.choose(self.words.fate)
            self.is_friend_there = fate.strip() in self.world.takings
            self.say(" it")
            self.ask(f"Who had{fate} the{self.wanted}?", self.words.name, self.friend)
        self.place = self.new_place()
        self.say(".")
        self.ask(f"Where did{self.hero} go?", self.words.answer, self.words.as_answer(self.place))

    def journey(self) -> None:
        """So Ada went to the barn with Cleo. On the way, Ada found a blue drum on the hill. Then ..."""
        self.say(" So")
        self.name(self.hero)
        self.say(" went to the")
        self.recall(self.words.place, self.place)
        if self.choose(self.words.company) == " with":
            companion = self.new_person()
            self.party.append(companion)
            self.say(".")
            self.ask(f"Who went with{self.hero}?", self.words.name, companion)
        steps = self.words.first_step
        for _ in range(self.world.num_events):
            if self.choose(steps) == " There,":
                return
            steps = self.words.next_step
            self.event()
        self.say(" There,")

    def event(self) -> None:
        """Somebody of the party finds, gets, loses or gives away a thing."""
        who = self.one_of("who", self.party)
        held = [thing for thing, holder in self.holders.items() if holder == who]
        what = self.choose(self.words.event if held else self.words.find)
        if what == " found":
            thing, place = self.another_thing(), self.new_place()
            self.holders[thing] = who
            self.ask(f"Who found the{thing}?", self.words.name, who)
            self.ask(f"Where was the{thing}?", self.words.answer, self.words.as_answer(place))
        elif what == " met":
            other, place = self.new_person(), self.new_place()
            self.say(" and got")
            thing = self.another_thing()
            self.holders[thing] = who
            self.ask(f"Who had a{thing}?", self.words.name, other)
            self.ask(f"Where was{other}?", self.words.answer, self.words.as_answer(place))
        else:
            self.say(" the")
            thing = self.one_of("thing", held)
            del self.holders[thing]
            if what == " lost":
                place = self.new_place()
                self.ask(f"Where is the{thing}?", self.words.answer, self.words.as_answer(place))
            else:
                self.say(" to")
                self.ask(f"Who has the{thing}?", self.words.name, self.new_person())
        self.say(".")

    def arrival(self) -> None:
        """What is hard at the place, or what the friend there wants."""
        if not self.is_friend_there:
            hardship, tool = self.world.hardships[self.words.where_of[self.place].strip()]
            self.say(f" it was {hardship}, so")
            self.one_of("who", self.party)
            self.say(f" got a {tool} from")
            helper = self.new_person()
            self.say(".")
            self.ask(f"Who had a {tool}?", self.words.name, helper)
            return
        self.name(self.friend)
        if self.damage:
            remedy, _ = self.world.damages[self.damage.strip()]
            self.say(f" {remedy} the")
            self.thing(self.wanted)
            self.say(" and")
        offers = [thing for thing, holder in self.holders.items() if holder in self.party]
        if offers:
            self.say(" got the")
            thing = self.one_of("thing", offers)
            self.say(" from")
            self.name(self.holders.pop(thing))
            self.ask(f"Who has the{thing}?", self.words.name, self.friend)
        else:
            self.say(" asked")
            who = self.one_of("who", self.party)
            self.say(" to")
            deed = self.choose(self.words.deed)
            self.ask(f"Who had to{deed}?", self.words.name, who)
        self.say(".")

    def outcome(self) -> None:
        """Soon Ada could ride the bike with Ben. Ada was happy. Or: Yet the bike was too old. Ada was sad."""
        is_good = self.choose(self.words.outcome) == " Soon"
        if is_good:
            self.name(self.hero)
            self.say(f" could{self.words.verb_of[self.wanted]} the")
            self.thing(self.wanted)
            others = self.party[1:] + [self.friend] * self.is_friend_there
            if others and self.choose(self.words.company) == " with":
                self.one_of("who", others)
                self.say(".")
            elif not others:
                self.say(".")
        else:
            self.name(self.hero)
            self.say(f" could not{self.words.verb_of[self.wanted]} the")
            self.thing(self.wanted)
            self.say(".")
        self.name(self.hero)
        self.say(" was")
        self.choose(self.words.joy if is_good else self.words.sorrow)
        self.say(".")

    def night(self) -> None:
        """At night, Ben put the bike under the stairs."""
        self.choose(self.words.end)
        who = self.one_of("who", dict.fromkeys([*self.party, self.friend]))
        self.say(" put the")
        self.thing(self.wanted)
        place = self.new_place()
        self.say(".")
        self.ask(f"Who put away the{self.wanted}?", self.words.name, who)
        self.ask(f"Where is the{self.wanted}?", self.words.answer, self.words.as_answer(place))

    def dialogue(self) -> None:
        """The user asks about the story, up to so many times, and each time something else."""
        turns = self.words.first_turn
        for _ in range(self.world.num_questions):
            if self.choose(turns) == "\n":
                return
            turns = self.words.next_turn
            question = self.choose(among("question", *self.questions))
            before, options, true = self.questions.pop(question)
            self.say(f" {ASSISTANT}{before}")
            self.recall(options, true, is_answer=True)
            self.say(f".{END}")
        self.say("\n")

    def ask(self, question: str, options: Options, true: str) -> None:
        """Note what can be asked at the end, what stands before the answer, and the answer."""
        before = {"thing": article(true).title(), "color": " It is"}.get(options.kind, "")
        self.questions[f" {question}"] = (before, options, true)

    def new_person(self) -> str:
        """Choose somebody of whom there was no word yet."""
        self.names.append(self.choose(self.words.name, self.names))
        return self.names[-1]

    def new_thing(self) -> str:
        """Choose a thing of which there was no word yet."""
        self.things.append(self.choose(self.words.thing, self.things))
        return self.things[-1]

    def another_thing(self) -> str:
        """A thing of some color; the color is not spoken of again."""
        self.say(" a")
        self.choose(self.words.color)
        return self.new_thing()

    def new_place(self) -> str:
        """Choose a place where nothing has happened yet: under the bridge."""
        where = self.choose(self.words.where)
        self.say(" the")
        self.visited.append(self.choose(self.words.places[where], self.visited))
        return self.visited[-1]

    def name(self, person: str) -> None:
        """Name somebody who is known."""
        self.recall(self.words.name, person)

    def thing(self, thing: str) -> None:
        """Name a thing that is known."""
        self.recall(self.words.thing, thing)

    def one_of(self, kind: str, known: Iterable[str]) -> str:
        """Choose one of those who are known; where there is only one, that is no choice."""
        texts = tuple(known)
        if len(texts) > 1:
            return self.choose(among(kind, *texts))
        self.recall(self.words.thing if kind == "thing" else self.words.name, texts[0])
        return texts[0]


def tell(oracle: Oracle, world: World) -> None:
    """Tell a story to an oracle: it is asked for every choice, and gets all of the text."""
    _Story(oracle, world).tell()
