"""Under which headings does `korvai --help` list its commands? In the order of a first day's work."""

__all__ = ["ASK", "CURATE", "DATA", "LEARN", "MEASURE", "SERVERS", "START"]

START = "Start here"
SERVERS = "Servers and workers"
DATA = "Bring data in and out"
LEARN = "Learn"
ASK = "Ask"
CURATE = "Curate"
MEASURE = "Measure"
