"""Which encoders turn texts and images into vectors? torch, open_clip and timm are imported on first use, never here."""
