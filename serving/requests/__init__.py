"""Requests checked field by field, before they cost anything: protos in, typed values out.

Everything that a caller can get wrong is found here and named by its field in the proto. Knows
nothing of sockets or metadata, so any front (gRPC, HTTP) may call it with the protos it builds.
"""
