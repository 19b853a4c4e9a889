"""What the chapters of step 3 measure and draw."""
