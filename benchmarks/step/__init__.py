"""What `benchmarks.steps` runs in processes of their own: the graph, our step, and the whole-graph form's."""
