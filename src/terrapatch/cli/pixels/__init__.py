"""``terrapatch pixels``: every pixel a class, from many bands and few labels."""
