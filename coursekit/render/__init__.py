"""How verdicts are told: the words in `telling`, laid out for terminals and for notebooks."""
