"""Programs of others that build models, one small class each; found on the PATH, never required."""
