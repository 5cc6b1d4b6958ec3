"""Several nodes on one machine: what the bus adds, and what a node that dies or stops costs."""
