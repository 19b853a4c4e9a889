"""Step 3: how a model learns from text, from documents on disk to checkpoints that a run goes on from."""
