"""Runs: the loop around the game, the folder, checkpoints, samples."""
