"""How a value becomes bytes and back, the same at both ends.

Runs in the notebook and inside the user's kernel in any image, so it needs the standard library alone: numpy, pandas and
torch are used where the user's code has imported them, and never imported from here.
"""
