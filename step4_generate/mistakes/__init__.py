"""Wrong and right implementations of step 4's exercises: each check must refuse the former and accept the
latter.
"""
