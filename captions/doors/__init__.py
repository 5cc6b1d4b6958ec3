"""The doors that clients come in by: one package a wire protocol, on what all of them share."""
