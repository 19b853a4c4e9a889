"""The way in: makes the environment, opens JupyterLab for learners, runs the tests, says what a machine has.

`start.py` hands over to `coursekit.lab` before anything is installed, so `__main__`, `environment`, `changes`
and `doctor` import the standard library only; `server` and `saving` run in the finished environment.
"""
