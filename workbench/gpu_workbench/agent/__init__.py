"""Our process inside each container: starts the payload, journals what happens, and serves one port.

It travels into any image with Python 3.10 or newer as one zip file, so it imports the core, the codecs of ``values`` and
the standard library; ``zmq`` and ``ipykernel`` come from the image and only for sessions.
"""
