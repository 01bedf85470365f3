"""Features at one cell a pixel: spectra, profiles, hypercolumns, as feature rasters."""
