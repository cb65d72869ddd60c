"""Programs of the administrator, run when something happens to a tunnel."""
