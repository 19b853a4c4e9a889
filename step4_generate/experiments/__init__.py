"""What the chapters of step 4 measure and draw: a model that speaks, what is cut, what a cache saves."""
