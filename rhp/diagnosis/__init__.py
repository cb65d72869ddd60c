"""What `rhp check` and `rhp doctor` look at: a file a subject, functions that give findings and change nothing."""
