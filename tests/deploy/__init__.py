"""What is in deploy/: nothing untried."""
