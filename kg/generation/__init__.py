"""Graphs of any size, made up: with the counts and the shape of the published one."""
