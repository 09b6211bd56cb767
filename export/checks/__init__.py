"""Is the file the model? What is found on a written file before it is handed over."""
