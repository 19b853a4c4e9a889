"""Processes in which judged code runs: warm, used once, watched, and never the process that decides.

pool.py      the trusted side: hand a job over, get an Outcome back
process.py   the main program of a worker: import first, then serve
watch.py     the limits of one job: time, memory, and nothing left behind
tasks.py     what a job does, and learner.py: the learner's file as a module
"""


class WorkerError(Exception):
    """A worker failed by a fault of the course or the machine, not of the code under judgment."""
