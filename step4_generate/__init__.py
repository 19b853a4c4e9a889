"""Step 4: how a trained model writes, from logits to text that appears while it is made."""
