"""Files of reflections and maps: reading, choosing columns, writing."""
