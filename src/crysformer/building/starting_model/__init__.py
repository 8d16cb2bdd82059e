"""Models to begin with: from atoms without names, completed, and put into one asymmetric unit."""
