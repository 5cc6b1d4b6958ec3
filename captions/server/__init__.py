"""Sockets and HTTP: listening and draining, routes, pages, and what waits to be sent."""
