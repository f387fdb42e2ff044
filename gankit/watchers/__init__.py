"""What watches a run: hook implementations like anybody's."""
