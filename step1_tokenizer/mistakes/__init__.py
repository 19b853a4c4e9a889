"""Wrong and right implementations of step 1's exercises: each check must refuse the former and accept the
latter.
"""
