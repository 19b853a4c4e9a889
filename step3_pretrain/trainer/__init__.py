"""The training script, in parts: what a run is asked for, its data, its model, one step, and the loop."""
