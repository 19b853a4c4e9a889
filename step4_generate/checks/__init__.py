"""What step 4 asks of any implementation: one probe for each exercise and milestone. Nothing here
imports a solution.
"""
