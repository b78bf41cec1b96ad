"""Running a step: shards, workers, resuming, records, command line."""
