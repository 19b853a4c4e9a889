"""Play with the mistakes: a model carries one that is not named, and the learner finds out which.

`atlas` knows what every mistake shows, `draw` chooses one with others to tell it from, `game` keeps what was
looked at and answers, `player` plays by itself with nothing but what the game offers. Terminal and notebook
show the same game.
"""
