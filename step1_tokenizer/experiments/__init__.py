"""What the tutorial of step 1 shows: texts to train on, vocabularies, measurements, figures."""
