"""How are structureclip and mosaiclip alike: captioned pictures, what a caption tells, the network, the batches?"""
