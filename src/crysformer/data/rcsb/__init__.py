"""Choice of entries by the search of RCSB PDB, and download of their coordinates."""
