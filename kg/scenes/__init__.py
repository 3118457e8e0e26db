"""What does a picture or a caption show: things, their attributes, how they stand to each other?"""
