"""What has to be in the session so that a cell runs there as it would here: names, files, modules and packages."""
