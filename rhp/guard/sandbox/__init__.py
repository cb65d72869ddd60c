"""What a process can give up, and what each of the two does: capabilities, users, files, system calls."""
