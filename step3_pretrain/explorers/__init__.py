"""Explorers of step 3: pages on which a reader walks through a part of training."""
