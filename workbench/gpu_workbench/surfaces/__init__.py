"""What people meet: magics, the inline view, the Python API, the command line. They parse, call and render."""
