"""Measurements side by side; each area is a module with `measure() -> list[Record]`."""
