"""Figures: each kind describes what it shows, and two renderers draw any such description.

Nothing here imports what draws before it is drawn: the names below are part of the command line's help.
"""

OF_TRIALS = ("search", "curves", "importance", "parallel", "classes")
OF_TRACES = ("features", "enhancement")
PREDICTIONS = "predictions"
KINDS = (*OF_TRIALS, *OF_TRACES, PREDICTIONS)
ENDINGS = ("png", "svg", "pdf", "html")
