"""Step 3: how a model learns from text. Nothing stands here yet; README.md says what will."""
