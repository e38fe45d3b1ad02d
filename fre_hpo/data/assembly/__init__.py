"""From pairs of files to checked arrays."""
