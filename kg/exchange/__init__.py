"""A whole graph as the folder of files in which ArtGraph is published, there and back."""
