"""The server's stages in virtual time, without sockets or threads."""
