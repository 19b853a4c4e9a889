"""For authors: write what is generated, say what is missing or stale, audit the checks, begin an exercise."""
