"""Where a run computes: device, threads, processes, shards of a batch."""
