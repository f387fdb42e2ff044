"""Real samples: a data set that is read once, and batches by their number."""
