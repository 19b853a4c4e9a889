"""The program `course`: one file for each group of its commands."""
