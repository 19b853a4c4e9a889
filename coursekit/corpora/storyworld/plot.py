"""What happens in a story: one program, told to an oracle that makes its choices.

Somebody wishes for something, which is lost, taken or damaged; on the way to where it is people meet, find
and give things; at that place there is a hardship or a price; it ends well or not. What the program knows of
the story so far (who is there, who holds what, where things are) decides what can happen next, and is
recalled again and again.
"""

from __future__ import annotations

from coursekit.corpora.storyworld.lexicon import ASSISTANT, END, USER
from coursekit.corpora.storyworld.memory import Telling
from coursekit.corpora.storyworld.telling import Oracle
from coursekit.corpora.storyworld.world import World


class _Story(Telling):
    """The steps of a story, in their order."""

    hero: str
    friend: str
    wanted: str
    color: str
    place: str
    damage = ""
    # Whether the friend is at that place, with the thing or with what mends it.
    is_friend_there = True

    def tell(self) -> None:
        """Tell the whole document."""
        is_request = self.choose(self.words.opening) == USER
        if is_request:
            self.request()
        self.wish(is_request)
        self.trouble(is_request)
        outcome = self.choose(self.words.journey)
        if outcome == " So":
            self.journey()
            self.arrival()
            outcome = self.choose(self.words.outcome)
        self.outcome(is_good=outcome == " Now")
        turn = self.choose(self.words.last_ending if is_request else self.words.ending)
        if turn == " At":
            self.night()
            if is_request:
                self.say(END)
        if is_request or turn == " At":
            turn = self.choose(self.words.first_turn)
        self.dialogue(turn)

    def request(self) -> None:
        """The user asks for a story about two people and a thing."""
        self.say(" Tell me about")
        self.hero = self.new_person("hero")
        self.say(",")
        self.friend = self.new_person("friend")
        self.say(" and a")
        self.color = self.choose(self.words.color)
        self.wanted = self.new_thing("wanted")
        self.say(f". {ASSISTANT}")
        self.choose(self.words.time)

    def wish(self, is_request: bool) -> None:
        """One day, Ada wanted to ride a red bike."""
        self.say(",")
        if is_request:
            self.name(self.hero)
            self.say(" wanted a")
            self.wanted_thing()
        else:
            self.hero = self.new_person("hero")
            self.say(" wanted a")
            self.color = self.choose(self.words.color)
            self.wanted = self.new_thing("wanted")
        self.say(".")
        self.party.append(self.hero)
        self.ask(f"What did{self.hero} want?", self.wanted)
        self.ask(f"Who wanted the{self.wanted}?", self.hero)
        self.ask(f"What color is the{self.wanted}?", self.color)

    def trouble(self, is_request: bool) -> None:
        """But Ben had hidden the bike in the barn. Or: Sadly the bike was wet, and Ben had the towel ..."""
        if self.choose(self.words.trouble) == " Sadly":
            self.say(" the")
            self.wanted_thing()
            self.say(" was")
            self.damage = self.choose(self.words.damage)
            self.say(", and")
        if is_request:
            self.name(self.friend)
        else:
            self.friend = self.new_person("friend")
        self.say(" had")
        if self.damage:
            _, tool = self.world.damages[self.damage.strip()]
            self.say(f" the {tool}")
            self.ask(f"Who had the {tool}?", self.friend)
        else:
            fate = self.choose(self.words.fate)
            self.is_friend_there = fate.strip() in self.world.takings
            self.say(" the")
            self.wanted_thing()
            self.ask(f"Who had the{self.wanted} first?", self.friend)
        self.place = self.new_place()
        self.say(".")
        lying = f" {self.world.damages[self.damage.strip()][1]}" if self.damage else self.wanted
        self.ask(f"Where was the{lying}?", self.place)

    def journey(self) -> None:
        """So Ada went to the barn with Carl. On the way, Carl found a drum. Then ... There,"""
        self.name(self.hero)
        self.say(" went to the")
        self.recall(self.words.place, self.place)
        if self.choose(self.words.company) == " with":
            companion = self.new_person("companion")
            self.party.append(companion)
            self.say(".")
            self.ask(f"Who went with{self.hero}?", companion)
        steps = self.words.first_step
        for role in self.world.events:
            if self.choose(steps) == " There,":
                return
            steps = self.words.next_step
            self.event(role)
        self.say(" There,")

    def event(self, role: str) -> None:
        """Somebody of the party finds, gets, loses or gives away a thing."""
        who = self.one_of("who", self.party)
        held = [thing for thing, holder in self.holders.items() if holder == who]
        what = self.choose(self.words.event, only=() if held else (" found", " met"))
        if what == " found":
            thing = self.gain(role, who)
            self.ask(f"Who found the{thing}?", who)
        elif what == " met":
            other = self.new_person(role)
            self.say(" and got")
            thing = self.gain(role, who)
            self.ask(f"Who had a{thing}?", other)
        else:
            self.say(" the")
            thing = self.one_of("thing", held)
            self.holders.pop(thing, None)
            if what == " gave":
                self.say(" to")
                self.ask(f"Who has the{thing}?", self.new_person(role))
        self.say(".")

    def gain(self, role: str, who: str) -> str:
        """A drum. The drum was red: a new thing is in somebody's hands."""
        self.say(" a")
        thing = self.new_thing(role)
        self.say(". The")
        self.thing(thing)
        self.say(" was")
        self.ask(f"What color is the{thing}?", self.choose(self.words.color))
        self.holders[thing] = who
        return thing

    def arrival(self) -> None:
        """There, the barn was dark, so Ada got a lamp. Or: There, Ben got the drum from Carl."""
        if not self.is_friend_there:
            self.say(" the")
            # Of a wrong place told in its own words only the place is wrong.
            hardship = self.words.hardship_of[self.recall(self.words.place, self.place)]
            tool = self.world.tools[hardship]
            self.say(f" was {hardship}, so")
            who = self.one_of("who", self.party)
            self.say(f" got a {tool}.")
            self.ask(f"Who got a {tool}?", who)
            return
        self.name(self.friend)
        if self.damage:
            remedy, _ = self.world.damages[self.damage.strip()]
            self.say(f" {remedy} the")
            self.thing(self.wanted)
            self.say(" and")
        offers = [thing for thing, holder in self.holders.items() if holder in self.party]
        if self.choose(self.words.favor, only=(" got" if offers else " asked",)) == " got":
            self.say(" the")
            thing = self.one_of("thing", offers)
            self.say(" from")
            self.name(self.holders.pop(thing, ""))
            self.ask(f"Who has the{thing}?", self.friend)
        else:
            who = self.one_of("who", self.party)
            self.say(" to")
            self.choose(self.words.deed)
            self.ask("Who was asked?", who)
        self.say(".")

    def outcome(self, is_good: bool) -> None:
        """Now Ada shared the red bike with Ben. Or: Yet Ada broke the red bike. Ada was sad."""
        self.name(self.hero)
        others = self.party[1:] + [self.friend] * self.is_friend_there
        verb = " broke"
        if is_good:
            verb = self.choose(self.words.success)
        else:
            self.say(verb)
        self.say(" the")
        self.wanted_thing()
        if verb == " shared":
            self.say(" with")
            self.one_of("who", others or [self.friend])
        self.say(".")
        self.name(self.hero)
        self.say(" was")
        self.choose(self.words.joy if is_good else self.words.sorrow)
        self.say(".")

    def night(self) -> None:
        """At night, Ben put the bike under the bed."""
        self.say(" night,")
        who = self.one_of("who", [*self.party, self.friend])
        self.say(" put the")
        self.wanted_thing()
        place = self.new_place()
        self.say(".")
        self.ask(f"Who put away the{self.wanted}?", who)
        self.ask(f"Where is the{self.wanted}?", place)

    def wanted_thing(self) -> None:
        """Name what the hero wants, with its color."""
        self.recall(self.words.color, self.color)
        self.thing(self.wanted)

    def dialogue(self, turn: str) -> None:
        """The user asks about the story, up to so many times."""
        num_asked = 0
        while turn != "\n":
            question = self.choose(self.words.question, only=tuple(self.questions))
            before, options = self.words.asked[question]
            self.say(f" {ASSISTANT}{before}")
            # What the story does not tell has no right answer.
            self.recall(options, self.questions.get(question, ""), is_answer=True)
            self.say(f".{END}")
            num_asked += 1
            if num_asked == self.world.num_questions:
                self.say("\n")
                return
            turn = self.choose(self.words.next_turn)


def tell(oracle: Oracle, world: World) -> None:
    """Tell a story to an oracle: it is asked for every choice, and gets all of the text."""
    _Story(oracle, world).tell()
