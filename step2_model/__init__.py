"""Step 2: how a model turns token ids into a guess about the next one."""
