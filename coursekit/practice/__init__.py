"""What goes on while one learns: where a learner stands, what a command means, `course watch`."""
