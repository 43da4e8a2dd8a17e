"""What LiteFS runs on every node that may become the writer: it follows LiteFS's role, and guards the lease.

    litefs ── exec ──► supervisor ──► Seafowl, read-write (primary, behind the gate) or read-only (standby)

`node` puts the parts together: `litefs` (role and positions), `lease` (Consul), `gate` (the write port), `standbys`
(who has what was written), `seafowl_process`, `lost` (what a returning primary had not replicated).

Standard library only, Python 3.10 or newer: it runs in Seafowl's own image.
"""
