"""Recipes: read, overridden, checked, written back, and built into parts."""
