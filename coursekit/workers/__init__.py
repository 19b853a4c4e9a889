"""Processes in which judged code runs: warm, used once, watched, and never the process that decides.

pool.py      the trusted side: hand a job over, get an Outcome back
worker.py    one worker process as the trusted side holds it
process.py   the main program of a worker: import first, then serve
watch.py     the limits of one job: time, memory, and nothing left behind
tasks.py     what a job does
learner.py   the learner's file as a module, and its errors in its own lines
"""


class WorkerError(Exception):
    """A worker failed by a fault of the course or the machine, not of the code under judgment."""
