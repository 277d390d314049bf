"""Starting sessions from a form: what is typed into it, what becomes of it, and its routes."""
