"""How does an application ask Korvai over HTTP? Routes, errors and one page; encodes uploads in process through kg."""
