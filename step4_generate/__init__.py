"""Step 4: how a trained model writes. Nothing stands here yet; README.md says what will."""
