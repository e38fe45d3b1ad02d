"""A trained network at work: evaluated on a split, put to images of any size, exported."""
