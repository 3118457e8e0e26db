"""Which encoders turn texts and images into vectors?

torch, open_clip, timm and sentence-transformers are imported on first use, never here.
"""
