"""Metrics, one a file: what is measured is in ``measures``, of what is here."""
