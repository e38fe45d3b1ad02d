"""Figures: each kind describes what it shows, and two renderers draw any such description.

Nothing here imports what draws before it is drawn: the names below are part of the command line's help.
"""

KINDS = ("search", "curves", "importance", "parallel", "classes")
ENDINGS = ("png", "svg", "pdf", "html")
