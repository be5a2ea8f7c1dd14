"""Who may reach serving, and what he may do: certificates, tokens, roles, and which address may be
listened on. Knows nothing of engines; both fronts (gRPC, HTTP) ask it.
"""
