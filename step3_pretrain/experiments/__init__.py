"""What the chapters of step 3 measure and draw: small runs on storyworld, faults in curves, a finale."""
