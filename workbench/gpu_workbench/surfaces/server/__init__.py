"""The extension of Jupyter's server: what browsers see of runs, and what they may do to them. No logic of its own."""
