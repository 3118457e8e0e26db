"""What did the graph look like when it was pulled: read in pages, in canonical order, kept as a folder."""
