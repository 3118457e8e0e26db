"""How do people change the graph so that nothing is lost: edits, undo, predictions, what curators see in Browser?"""
