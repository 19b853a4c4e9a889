"""One run in several processes, on one machine or many: who is who, what each holds, and shared checkpoints.

`torchrun` starts the processes; each reads its rows of the same global batch, so that the losses are those of
one process.
"""
