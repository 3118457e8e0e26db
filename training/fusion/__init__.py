"""Which class does an item have that hangs in the graph, by its image and by all that is known of it?"""
