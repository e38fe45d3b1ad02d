"""A comparison of methods: what was measured, what it shows, and the tables that say so.

Pure functions from confusion matrices to sentences and cells, without storage and without training.
"""
