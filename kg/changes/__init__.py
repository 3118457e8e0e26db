"""What changed in the graph: edits as they are recorded, changes since a snapshot, what is stale because of them."""
