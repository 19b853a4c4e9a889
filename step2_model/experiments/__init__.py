"""What the tutorial of step 2 shows: models with a part exchanged, measurements inside them, figures."""
