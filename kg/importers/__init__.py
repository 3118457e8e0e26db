"""Tables, folders and facts into the graph, batch by batch, each with a report and an undo."""
