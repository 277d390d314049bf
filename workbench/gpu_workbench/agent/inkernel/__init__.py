"""The part of the agent that runs inside the user's kernel process: it makes output lossless, and hands values over.

It runs on whatever ipykernel the image has, so it leans on long-lived parts of it only.
"""
