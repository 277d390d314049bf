"""A module of this project, for the notebook `03-files-and-modules.ipynb`."""

from statistics import mean


def summary(readings):
    return f"{len(readings)} readings, mean {mean(readings):.2f}"
