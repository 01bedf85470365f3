"""Studies of pixels: a classifier from few labels, its map, and what it is worth."""
