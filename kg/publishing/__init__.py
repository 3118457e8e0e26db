"""How does what a model learnt become part of the graph, and what is active?"""
