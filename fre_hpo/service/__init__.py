"""The verbs behind the command line and the Python API."""
