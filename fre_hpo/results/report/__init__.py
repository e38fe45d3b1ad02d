"""Reports: what a study or a comparison found, as plain blocks, and these as a page and as Markdown."""
