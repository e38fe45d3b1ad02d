"""Published data sets, fetched and verified."""
