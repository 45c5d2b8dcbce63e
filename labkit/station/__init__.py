"""The station: instruments opened from a file, their roles, interlocks and safe state."""
