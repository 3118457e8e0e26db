"""Why does an image get a class: where did the model look, and what in the graph speaks for the class?"""
