"""What a user of the workbench can do: runs, sessions, shipping of names and files, subscriptions. No rendering."""
