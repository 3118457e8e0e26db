"""How good are predictions, and how far can their probabilities be trusted?"""
