"""Which mask belongs to which image: templates, folders, lists."""
