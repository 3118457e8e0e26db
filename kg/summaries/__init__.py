"""Short texts about nodes, of what can be seen."""
