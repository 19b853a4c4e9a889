"""The course in a class: an nbgrader course directory, and grades decided where no learner code runs."""
