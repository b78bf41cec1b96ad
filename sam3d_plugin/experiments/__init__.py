"""What experiments share: steps, arms, records of runs, statistics."""
