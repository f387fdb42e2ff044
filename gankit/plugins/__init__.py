"""Plugins: found, loaded in isolation, and what they bring by name."""
