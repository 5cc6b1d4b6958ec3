"""Results kept as JSON, and how people read them: tables, plots and a page."""
