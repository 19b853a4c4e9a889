"""Step 1: how text becomes token ids. Nothing stands here yet; README.md says what will."""
