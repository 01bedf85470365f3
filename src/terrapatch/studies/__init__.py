"""Studies and demonstrations over the floors below."""
