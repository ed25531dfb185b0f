"""The report of a run: one HTML page that needs nothing else, the same numbers as JSON, and a row per frame as CSV."""
