"""Quality of the data before phasing: completeness, anisotropy, twinning, missed symmetry."""
