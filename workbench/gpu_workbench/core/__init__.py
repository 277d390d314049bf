"""What the workbench knows: words, facts and how one follows from another.

Nothing here does I/O, reads a clock or draws a random number, so all of it runs the same in a notebook kernel, in a
server, and inside the agent in any container.
"""
