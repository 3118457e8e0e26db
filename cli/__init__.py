"""The `korvai` command: thin, one function a verb."""
