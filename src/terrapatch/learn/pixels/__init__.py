"""Learning from labelled pixels: labels, splits that tell the truth, learners, maps."""
