"""Networks that predict density from Patterson maps, and their weights."""
